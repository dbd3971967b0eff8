// LockFile: one bridge a stream file. Held (flock) from before the stream is opened until the process ends, however it
// ends. The file is empty.
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

 private:
  explicit LockFile(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace sqlite
