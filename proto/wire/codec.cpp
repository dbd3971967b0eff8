#include "proto/wire/codec.hpp"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "proto/base/assert.hpp"
#include "proto/wire/parse.hpp"

namespace wire {
namespace {

namespace v1 = tillstream::v1;

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kGatewayIdMax = 63;
// Below it compression gains nothing worth its time.
constexpr std::size_t kCompressMin = 512;
constexpr int kCompressionLevel = 1;
// A frame that asks for a larger window than this is refused: 1 << 22 bytes.
constexpr int kWindowLogMax = 22;
constexpr std::size_t kChunkBytes = 64U << 10U;
constexpr unsigned char kRecordTag = 0x0a;  // field 1, length-delimited

struct FreeCompression {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompression {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

bool is_id(const std::string& bytes) { return bytes.size() == kIdBytes; }
bool is_digest(const std::string& bytes) { return bytes.size() == kDigestBytes; }
bool is_number(std::uint64_t number) { return number <= kNumberMax; }
bool is_text(const std::string& text) { return text.size() <= kTextBytesMax; }
bool is_place(const v1::Place& place) {
  return is_id(place.epoch()) && is_digest(place.digest()) && is_number(place.seq());
}

bool is_gateway_id(const std::string& id) {
  return !id.empty() && id.size() <= kGatewayIdMax &&
         id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

// It goes into the stream as it stands.
bool is_reason(const std::string& word) {
  return !word.empty() && word.size() <= kReasonBytesMax &&
         word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos;
}

bool is_whole(const v1::Lost& lost) {
  const bool range = lost.last_seq() == 0 || lost.last_seq() >= lost.first_seq();
  return is_reason(lost.reason()) && lost.first_seq() >= 1 && is_number(lost.first_seq()) && range &&
         is_number(lost.last_seq());
}

bool is_whole(const v1::Hello& hello) {
  const bool lost = !hello.has_lost() || is_whole(hello.lost());
  return is_id(hello.epoch()) && is_id(hello.run()) && is_digest(hello.acked_digest()) &&
         is_number(hello.acked_seq()) && is_number(hello.next_seq()) &&
         (!hello.has_supersedes() || is_place(hello.supersedes())) && lost && is_text(hello.versions().program());
}

bool is_whole(const v1::Batch& batch) {
  const bool run_digest = batch.run_digest_before().empty() || is_digest(batch.run_digest_before());
  return is_id(batch.epoch()) && is_id(batch.run()) && is_digest(batch.digest_before()) && run_digest &&
         batch.first_seq() >= 1 && is_number(batch.first_seq()) && is_number(batch.run_index());
}

bool is_whole(const v1::Heartbeat& heartbeat) {
  const bool amounts = heartbeat.pending_amounts_size() <= static_cast<int>(kAmountsMax) &&
                       std::all_of(heartbeat.pending_amounts().begin(), heartbeat.pending_amounts().end(),
                                   [](const v1::PendingAmount& amount) { return amount.currency().size() == 3; });
  return is_id(heartbeat.epoch()) && is_id(heartbeat.run()) && is_number(heartbeat.committed_seq()) && amounts &&
         is_text(heartbeat.versions().program());
}

bool is_whole(const v1::Progress& progress) {
  const bool runs = std::all_of(progress.runs().begin(), progress.runs().end(), [](const v1::RunProgress& run) {
    return is_id(run.run()) && is_number(run.count()) && (run.digest().empty() || is_digest(run.digest()));
  });
  return is_id(progress.epoch()) && is_digest(progress.digest()) && is_number(progress.seq()) && runs &&
         progress.runs_size() <= static_cast<int>(kRunsMax) &&
         progress.switched_at_ms_size() <= static_cast<int>(kSwitchesMax) &&
         (progress.quarantine_run().empty() || is_id(progress.quarantine_run()));
}

bool is_whole(const v1::Ack& ack) {
  // An Ack without a place says that nothing is stored, or that the id is quarantined.
  const bool placeless = ack.epoch().empty() && ack.digest().empty() && ack.seq() == 0;
  const bool place = is_id(ack.epoch()) && is_digest(ack.digest()) && is_number(ack.seq());
  return (placeless || place) && (!ack.has_progress() || is_whole(ack.progress())) && is_text(ack.versions().program());
}

bool is_whole(const v1::Owner& owner) { return is_text(owner.bridge_id()); }

// A varint of at most 32 bits; moves `bytes` on.
std::optional<std::size_t> take_length(base::BytesView& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 35 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

// Reads a serialized Records by hand: counted before anything is allocated, for one byte of an empty record would
// become forty.
bool read_records(base::BytesView packed, v1::Records& records) {
  std::size_t count = 0;
  while (!packed.empty()) {
    if (static_cast<unsigned char>(packed.front()) != kRecordTag || ++count > kRecordsMax) return false;
    packed.remove_prefix(1);
    const auto length = take_length(packed);
    if (!length || *length == 0 || *length > packed.size()) return false;
    records.add_record(packed.data(), *length);
    packed.remove_prefix(*length);
  }
  return count > 0;
}

// Decompresses one frame into at most kRecordsBytesMax bytes, chunk by chunk: the size that the frame claims is never
// believed.
std::optional<base::Bytes> decompress(base::BytesView frame) {
  const std::unique_ptr<ZSTD_DCtx, FreeDecompression> context(ZSTD_createDCtx());
  ASSERT(context != nullptr);
  ASSERT(ZSTD_isError(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kWindowLogMax)) == 0);
  base::Bytes whole;
  ZSTD_inBuffer in{frame.data(), frame.size(), 0};
  const auto chunk = std::make_unique<std::array<char, kChunkBytes>>();
  for (;;) {
    ZSTD_outBuffer out{chunk->data(), chunk->size(), 0};
    const std::size_t in_before = in.pos;
    const std::size_t left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left) != 0 || whole.size() + out.pos > kRecordsBytesMax) return std::nullopt;
    whole.append(chunk->data(), out.pos);
    if (left == 0) return in.pos == in.size ? std::optional(std::move(whole)) : std::nullopt;
    if (in.pos == in_before && out.pos == 0) return std::nullopt;  // truncated
  }
}

bool unpack_records(v1::Batch& batch) {
  if (batch.has_records() && !batch.zstd_records().empty()) return false;
  if (!batch.zstd_records().empty()) {
    const auto packed = decompress(batch.zstd_records());
    if (!packed || !read_records(*packed, *batch.mutable_records())) return false;
    batch.clear_zstd_records();
    return true;
  }
  const auto& records = batch.records().record();
  return !records.empty() && records.size() <= static_cast<int>(kRecordsMax) &&
         std::none_of(records.begin(), records.end(), [](const std::string& record) { return record.empty(); });
}

void pack_records(v1::Batch& batch) {
  const std::size_t size = batch.records().ByteSizeLong();
  if (size < kCompressMin) return;
  const base::Bytes plain = batch.records().SerializeAsString();
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeCompression> context(ZSTD_createCCtx());
  ASSERT(context != nullptr);
  base::Bytes packed(ZSTD_compressBound(plain.size()), '\0');
  const std::size_t length =
      ZSTD_compressCCtx(context.get(), packed.data(), packed.size(), plain.data(), plain.size(), kCompressionLevel);
  ASSERT(ZSTD_isError(length) == 0);
  if (length > plain.size() - plain.size() / 8) return;
  packed.resize(length);
  batch.clear_records();
  batch.set_zstd_records(std::move(packed));
}

template <class Message>
base::Result<Message, DecodeError> read(base::BytesView payload) {
  if (payload.size() > kMessageBytesMax) return base::fail(DecodeError::too_large);
  Message message;
  if (!parse(message, payload)) return base::fail(DecodeError::undecodable);
  return message;
}

template <class Message>
base::Result<void, DecodeError> checked(const Message& message) {
  if (!is_whole(message)) return base::fail(DecodeError::bad_field);
  return {};
}

base::Result<void, DecodeError> checked(v1::Up& up) {
  switch (up.message_case()) {
    case v1::Up::kHello:
      return checked(up.hello());
    case v1::Up::kHeartbeat:
      return checked(up.heartbeat());
    case v1::Up::kBatch:
      break;
    case v1::Up::MESSAGE_NOT_SET:
      return base::fail(DecodeError::unknown_message);
  }
  if (!is_whole(up.batch())) return base::fail(DecodeError::bad_field);
  if (!unpack_records(*up.mutable_batch())) return base::fail(DecodeError::bad_records);
  return {};
}

base::Result<void, DecodeError> checked(const v1::Down& down) {
  switch (down.message_case()) {
    case v1::Down::kAck:
      return checked(down.ack());
    case v1::Down::kOwner:
      return checked(down.owner());
    case v1::Down::MESSAGE_NOT_SET:
      break;
  }
  return base::fail(DecodeError::unknown_message);
}

}  // namespace

std::string_view to_string(DecodeError error) {
  switch (error) {
    case DecodeError::too_large:
      return "too_large";
    case DecodeError::undecodable:
      return "undecodable";
    case DecodeError::unknown_message:
      return "unknown_message";
    case DecodeError::bad_gateway_id:
      return "bad_gateway_id";
    case DecodeError::bad_field:
      return "bad_field";
    case DecodeError::bad_records:
      return "bad_records";
  }
  return "undecodable";
}

base::Bytes encode(v1::Up up) {
  if (up.has_batch()) pack_records(*up.mutable_batch());
  return up.SerializeAsString();
}

base::Bytes encode(const v1::Down& down) { return down.SerializeAsString(); }

base::Result<v1::Up, DecodeError> decode_up(base::BytesView payload) {
  auto up = read<v1::Up>(payload);
  if (!up) return up;
  if (!is_gateway_id(up->gateway_id())) return base::fail(DecodeError::bad_gateway_id);
  if (const auto good = checked(*up); !good) return base::fail(good.error());
  return up;
}

base::Result<v1::Down, DecodeError> decode_down(base::BytesView payload) {
  auto down = read<v1::Down>(payload);
  if (!down) return down;
  if (const auto good = checked(*down); !good) return base::fail(good.error());
  return down;
}

}  // namespace wire
