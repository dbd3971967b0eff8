// A terminal's own reference of an event, and what it means that two events have the same.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "firmware-gateway/redact/fields.hpp"
#include "proto/base/bytes.hpp"
#include "proto/wire/event.pb.h"

namespace ingest {

using HashKey = std::array<std::uint8_t, 16>;

// The journal's key_hash. Over terminal_id and terminal_ref alone: whoever looks for an event (the local history, a
// reversal that names its original) seldom knows the batch. Events of other batches come back as candidates and are
// told apart here.
[[nodiscard]] std::uint64_t reference_hash(const HashKey& key, std::string_view terminal_id,
                                           std::string_view terminal_ref);

// What a stored record's key_hash is under a key: for a journal whose own key was lost.
struct StoredKey {
  std::uint64_t hash = 0;
  // What is compared holds marks that were made with the journal's key: with another one its repeat looks different.
  bool holds_marks = false;
};
// Nothing: the record cannot be read.
[[nodiscard]] std::optional<StoredKey> stored_key(const HashKey& key, base::BytesView record);

// What tells an event from others with the same terminal_ref, where the protocol has more than that: "" elsewhere.
[[nodiscard]] std::string message_key(const tillstream::v1::Event& event);

// terminal_id, terminal_ref, batch_no and message_key, as one text.
[[nodiscard]] std::string duplicate_key(const tillstream::v1::Event& event);

// How sure it is that a stored event of the same terminal is the one of which a card-scheme message speaks.
enum class Naming {
  other,       // it is another one
  by_stan,     // MTI and STAN are its; amount, card or kind are not
  by_content,  // STAN, and all that both say of amount, card and kind
  by_name,     // MTI and STAN, and its time or its RRN; or all content, and it is brought again with its own time
};
[[nodiscard]] Naming naming_of(const redact::Original& original, const tillstream::v1::Event& event,
                               const tillstream::v1::Event& stored);

// Makes an event that is a stored one once more, in other words, a repeat of it. What it may say with other words, or
// leave out, becomes the stored one's; amount and outcome stay what it says.
void take_identity(tillstream::v1::Event& event, const tillstream::v1::Event& stored);

// Gives a reversal a key that holds its original's, too.
void set_apart(tillstream::v1::Event& event, const tillstream::v1::Event& original);

enum class Relation {
  unrelated,   // another key: the hash alone was equal
  same_event,  // a repeat
  conflict,    // the same key and other content, close in time
  decides,     // the stored one's outcome was unknown, and this one says it; all else is the same
  knows_less,  // the other way round
  reused,      // the same key and other content, far apart: the terminal's counter has come round
};

// Of an event that comes in to one that is stored.
[[nodiscard]] Relation relation(const tillstream::v1::Event& incoming, const tillstream::v1::Event& stored,
                                std::chrono::milliseconds reference_reuse);

}  // namespace ingest
