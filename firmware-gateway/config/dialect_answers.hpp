// A dialect's [answers], how its host answers, and [totals], how its terminals write what they settle.
#pragma once

#include "firmware-gateway/terminal/iso8583/answers.hpp"
#include "firmware-gateway/terminal/iso8583/totals_form.hpp"
#include "proto/platform/settings.hpp"

namespace config {

// What the table does not say stays as it is in `answers`. Errors stay with the table.
void read_answers(platform::SettingsTable table, iso8583::Answers& answers);
void read_totals(platform::SettingsTable table, iso8583::TotalsForm& totals);

}  // namespace config
