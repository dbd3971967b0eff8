// LockFile: one bridge a stream file. Held (flock) from before the stream is opened until the process ends, however it
// ends.
//
// Its content is one more fact that must outlive the process: a sync has failed, so what the page cache shows of the
// write-ahead log may not be on the disk. A power cut, which would make the page cache forget, makes the fact
// pointless, too; so it is never synced itself.
#pragma once

#include <string>

#include "proto/base/result.hpp"

namespace sqlite {

class LockFile {
 public:
  // The error says who is in the way, for people.
  static base::Result<LockFile, std::string> acquire(const std::string& path);

  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&&) = delete;
  ~LockFile();

  [[nodiscard]] bool suspect() const { return suspect_; }
  void set_suspect(bool suspect);

 private:
  explicit LockFile(int descriptor);

  int descriptor_;
  bool suspect_ = false;
};

}  // namespace sqlite
