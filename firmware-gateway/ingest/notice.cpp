#include "firmware-gateway/ingest/notice.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "proto/base/assert.hpp"

namespace ingest {

tillstream::v1::Event make_notice(std::string_view name, const NoticeDetails& details, const base::Uuid& event_id,
                                  Moment moment) {
  tillstream::v1::Event event;
  event.set_schema_version(event_schema_version);
  event.set_event_id(std::string(event_id.view()));
  event.set_type("notice");
  event.set_source("gateway");
  event.set_occurred_at_ms(moment.utc.time_since_epoch().count());
  event.set_received_at_ms(moment.utc.time_since_epoch().count());
  event.set_clock_synced(moment.clock_synced);
  event.set_notice(std::string(name));
  for (const auto& [key, value] : details) (*event.mutable_details())[key] = value;
  return event;
}

base::Bytes to_record(const tillstream::v1::Event& event) {
  base::Bytes record;
  google::protobuf::io::StringOutputStream out(&record);
  google::protobuf::io::CodedOutputStream coded(&out);
  // Its maps in the order of their keys: a run of the simulator is repeated to the byte.
  coded.SetSerializationDeterministic(true);
  const bool written = event.SerializeToCodedStream(&coded);
  ASSERT(written);
  coded.Trim();
  return record;
}

}  // namespace ingest
