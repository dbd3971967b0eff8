#include "firmware-gateway/status/event_line.hpp"

#include "proto/base/json_object.hpp"
#include "proto/wire/event.pb.h"
#include "proto/wire/event_json.hpp"
#include "proto/wire/parse.hpp"

namespace status {

std::string event_line(const LinePlace& place, base::BytesView record) {
  std::string line;
  base::JsonObject json(line);
  json.number("row", place.row);
  json.begin_member("epoch");
  base::append_json_string(line, place.epoch);
  json.number("seq", place.seq);
  json.flag("committed", place.committed);
  tillstream::v1::Event event;
  if (wire::parse(event, record)) {
    // Epoch and seq stand at the front already: those that the terminal was told.
    wire::append_event(json, event);
  } else {
    json.text("record", base::to_hex(record));
  }
  json.end();
  return line + "\n";
}

}  // namespace status
