// The floor of bytes on a disk: so many bytes at a time, appended to a file and synced, nothing else.
//
//   bare_append FILE BYTES COUNT
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "proto/base/assert.hpp"

int main(int argc, char** argv) {
  ASSERT(argc == 4);
  const int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  ASSERT(file >= 0);
  const std::string record(static_cast<std::size_t>(std::atoll(argv[2])), 'r');
  for (long long i = std::atoll(argv[3]); i > 0; --i) {
    ASSERT(write(file, record.data(), record.size()) == static_cast<ssize_t>(record.size()));
    ASSERT(fdatasync(file) == 0);
  }
  close(file);
}
