// FirstPage: the journal's page 1 as it must be. SQLite finds nothing in a file whose first page is damaged, though
// every row and every mark may be whole behind it; and that page holds nothing but the schema, which is always the
// same. So a salvage reads a set-aside file with this page in the place of its own. A file layer puts it there: nothing
// is copied or changed.
//
// The log's header is laid over its file in the same way where it had to be made anew: without it SQLite takes the log
// for an empty one.
//
// A file that is missing, or empty, is read as one of pages that cannot be read, beside its WAL. Where the WAL has a
// page, that one counts, as ever.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "proto/base/bytes.hpp"

namespace sqlite {

// schema_page() for a file of any number of pages.
[[nodiscard]] base::Bytes first_page(base::Bytes schema_page, bool has_wal);

// The name of a file layer over `vfs` ("": the default one) whose databases have this first page. It only reads:
// writing, truncating and deleting fail. One database at a time, on one thread.
class FirstPageLayer {
 public:
  // `log_header` "": the log's own counts.
  FirstPageLayer(const std::string& vfs, base::Bytes page, base::Bytes log_header);
  ~FirstPageLayer();
  FirstPageLayer(const FirstPageLayer&) = delete;
  FirstPageLayer& operator=(const FirstPageLayer&) = delete;

  [[nodiscard]] const std::string& name() const;

 private:
  struct Layer;
  std::unique_ptr<Layer> layer_;
};

}  // namespace sqlite
