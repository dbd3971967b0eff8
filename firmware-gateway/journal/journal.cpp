#include "firmware-gateway/journal/journal.hpp"

namespace journal {

std::string_view to_string(Error error) {
  switch (error) {
    case Error::full:
      return "full";
    case Error::disk_full:
      return "disk full";
    case Error::broken:
      return "broken";
    case Error::damaged:
      return "damaged";
  }
  return "unknown";
}

}  // namespace journal
