// What YAML parsers let through or explain badly: one row for each way to get the text itself wrong.
#include "table.hpp"

namespace sluice::config::testing {
namespace {

const std::vector<Row>& reader_rows()
{
    static const std::vector<Row> table{
        {"duplicate_key_error_at_the_second_note_at_the_first", one_port + "node: a\nnode: b\n",
         "3:1: error: the key `node` stands here twice\n"
         "2:1: note: it stands here first\n"},
        {"duplicate_key_in_a_map_in_brackets", one_port + "log: {level: info, level: warn}\n",
         "2:20: error: the key `level` stands here twice\n"
         "2:7: note: it stands here first\n"},
        {"unclosed_quote_in_a_file_that_ends_in_a_newline", one_port + R"(node: "lb1
log: {level: info}
)",
         "2:7: error: the quote that opens here does not close on its line [close it; text of several lines is written "
         "after `|`]\n"},
        {"unclosed_quote_before_another_quoted_text", one_port + "node: 'lb1\nlog: {level: 'info'}\n",
         "2:7: error: the quote that opens here does not close on its line [close it; text of several lines is written "
         "after `|`]\n"},
        {"quoted_text_over_lines", one_port + R"(node: "lb
  1"
)",
         "2:7: error: the quote that opens here does not close on its line [close it; text of several lines is written "
         "after `|`]\n"},
        {"second_document", one_port + "node: a\n---\nnode: b\n",
         "3:1: error: a second document starts here [put everything into one document, or use `include`]\n"},
        {"list_beside_keys", "- a\nnode: b\n",
         "2:1: error: this does not belong to what stands above it [a list and keys cannot stand side by side]\n"},
        {"merge_key", one_port + "log:\n  <<: {level: info}\n",
         "3:3: error: merge keys (`<<`) are not used here [write the keys themselves; what repeats belongs into "
         "`defaults`]\n"},
        {"merge_key_with_alias", one_port + "log:\n  <<: *base\n",
         "3:7: error: merge keys (`<<`) are not used here [write the keys themselves; what repeats belongs into "
         "`defaults`]\n"},
        {"anchor", one_port + "log: &base {level: info}\n",
         "2:6: error: anchors (`&name`) are not used here [leave the anchor out]\n"},
        {"alias_of_an_anchor", one_port + "log: {level: &x info, to: *x}\n",
         "2:14: error: anchors (`&name`) are not used here [leave the anchor out]\n"
         "2:27: error: aliases (`*name`) are not used here [write the value itself; what repeats belongs into "
         "`defaults`]\n"},
        {"alias_of_nothing", one_port + "node: *x\n",
         "2:7: error: aliases and anchors (`*name`, `&name`) are not used here [write the value itself, in quotes if "
         "it starts with `*`]\n"},
        {"cycle", one_port + "log: &a [*a]\n",
         "2:6: error: anchors (`&name`) are not used here [leave the anchor out]\n"
         "2:10: error: aliases (`*name`) are not used here [write the value itself; what repeats belongs into "
         "`defaults`]\n"},
        {"tag", one_port + "node: !!str lb1\n", "2:7: error: tags (`!name`) are not used here [leave the tag out]\n"},
        {"tag_on_a_map", one_port + "log: !x {level: info}\n",
         "2:6: error: tags (`!name`) are not used here [leave the tag out]\n"},
        {"nesting_beyond_the_limit",
         one_port + "node: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
         "2:38: error: nested more than 32 levels deep\n"},
        {"empty_value_reported_at_the_key", one_port + "log:\nnode: x\n",
         "2:1: error: there is no value here [expected a map; or leave the key out]\n"},
        {"null_word", one_port + "node: ~\n",
         "2:1: error: there is no value here [expected a name; or leave the key out]\n"},
        {"octal_number", one_port + "version: 010\n",
         "2:10: error: `010` starts with a zero [numbers are decimal, octal ones do not exist here: write 10]\n"},
        {"hexadecimal_number", one_port + "version: 0x10\n",
         "2:10: error: `0x10` is not a decimal number [write 16]\n"},
        {"number_in_quotes", one_port + R"(version: "1"
)",
         "2:10: error: expected a number, and quotes make it text [remove the quotes]\n"},
        {"number_with_a_fraction", one_port + "version: 1.0\n",
         "2:10: error: `1.0` is not a number [decimal digits only: 1..1]\n"},
        {"yes_is_no_boolean",
         one_port + "vrrp: [{name: a, port: front, vrid: 1, addresses: [192.0.2.100], preempt: yes}]\n",
         "2:75: error: `yes` is neither `true` nor `false` [write `true`]\n"},
        {"True_is_no_boolean",
         one_port + "vrrp: [{name: a, port: front, vrid: 1, addresses: [192.0.2.100], preempt: True}]\n",
         "2:75: error: `True` is neither `true` nor `false` [write `true`]\n"},
        {"off_is_no_boolean",
         one_port + "vrrp: [{name: a, port: front, vrid: 1, addresses: [192.0.2.100], virtual_mac: off}]\n",
         "2:79: error: `off` is neither `true` nor `false` [write `false`]\n"},
        {"unquoted_address_in_brackets", one_port + "services:\n  - listen: [::]:443/tcp\n",
         R"(3:13: error: YAML reads this address as something else [put it into quotes: "[2001:db8::1]:443/tcp"]
)"},
        {"unquoted_address_in_brackets_in_a_list", one_port + "services:\n  - listen: [[2001:db8::1]:443/tcp]\n",
         R"(3:14: error: YAML reads this address as something else [put it into quotes: "[2001:db8::1]:443/tcp"]
)"},
        {"unquoted_address_that_ends_in_colons", one_port + "admin: {listen: fe80::}\n",
         R"(2:17: error: YAML reads this address as something else [put it into quotes: "[2001:db8::1]:443/tcp"]
)"},
        {"unquoted_address_that_ends_in_colons_in_a_list", one_port + "admin:\n  allow:\n    - fe80::\n",
         R"(4:7: error: YAML reads this address as something else [put it into quotes: "[2001:db8::1]:443/tcp"]
)"},
        {"star_and_port", one_port + "admin: {listen: *:80}\n",
         R"(2:17: error: YAML reads this address as something else [put it into quotes: "[2001:db8::1]:443/tcp"]
)"},
        {"tab_indents", one_port + "log:\n\tlevel: info\n", "3:1: error: a tab cannot indent [use spaces]\n"},
        {"tab_behind_spaces_indents", one_port + "log:\n  level: info\n  \tto: stderr\n",
         "4:3: error: a tab cannot indent [use spaces]\n"},
        {"dash_without_space_before_a_word", one_port + "include:\n  -site.yaml\n",
         "2:1: error: `include` is a list of files [a list item needs a space after its dash]\n"},
        {"dash_without_space_before_a_key", one_port + "pools:\n  -name: a\n",
         "3:3: error: a list item needs a space after its dash [- name: a]\n"},
        {"dash_without_space_among_items", one_port + "cpu:\n  workers:\n    - 0\n    -1\n",
         "5:5: error: a list item needs a space after its dash [- 1]\n"},
        {"key_without_colon", one_port + "version: 1\nnode\nlog: {}\n",
         "3:1: error: this is neither `key: value` nor a list item [put `:` after the key; text of several lines is "
         "written after `|`]\n"},
        {"last_key_without_colon", one_port + "node lb1\n",
         "2:1: error: this is neither `key: value` nor a list item [put `:` after the key]\n"},
        {"key_without_colon_in_brackets", one_port + "log: {level}\n",
         "2:7: error: this is neither `key: value` nor a list item [put `:` after the key]\n"},
        {"colon_without_space", one_port + "version:1\nnode: x\n",
         "2:8: error: a key's colon needs a space after it [version: 1]\n"},
        {"colon_without_space_in_brackets", one_port + "log: {level:info}\n",
         "2:7: error: a key's colon needs a space after it [level: info]\n"},
        {"open_brace", one_port + "log: {level: info\nnode: x\n",
         "2:6: error: the `{` that opens here is not closed [close it with `}`]\n"},
        {"open_bracket", one_port + "cpu: {workers: [0, 1\nnode: x\n",
         "2:16: error: the `[` that opens here is not closed [close it with `]`]\n"},
        {"bracket_that_closes_nothing", one_port + "log: {level: info}}\n",
         "2:19: error: this bracket closes nothing [remove it, or open it]\n"},
        {"two_colons_in_a_line", one_port + "node: a: b\n",
         "2:8: error: a second `: ` in one line [put text that contains `: ` into quotes]\n"},
        {"dedented_key", one_port + "log:\n   level: info\n  to: stderr\n",
         "4:3: error: this line does not fit what stands above it [keys of one map start in the same column, and a key "
         "with a value on its line takes no lines below]\n"},
        {"value_and_lines_below", one_port + "node: a\n  level: info\n",
         "3:8: error: this line does not fit what stands above it [keys of one map start in the same column, and a key "
         "with a value on its line takes no lines below]\n"},
        {"text_goes_on_in_the_next_line", one_port + "node: a\n  b\n",
         "3:3: error: this is neither `key: value` nor a list item [put `:` after the key; text of several lines is "
         "written after `|`]\n"},
        {"reserved_character", one_port + "node: @x\n",
         "2:7: error: text cannot start with this character [put the text into quotes]\n"},
        {"unknown_escape", one_port + "node: \"\\q\"\n",
         R"(2:10: error: unknown escape in quoted text [write a backslash as `\\`, or use single quotes]
)"},
        {"text_behind_a_quote", one_port + "node: 'it's'\n",
         "2:11: error: something follows the closing quote [quote the whole text, or remove the rest]\n"},
        {"list_as_key", one_port + "? [a]\n: b\n",
         "2:1: error: this is neither `key: value` nor a list item [put `:` after the key; text of several lines is "
         "written after `|`]\n"},
        {"not_a_map", "- a\n- b\n", "1:1: error: a configuration file is a map [it starts like `ports:`]\n"},
        {"only_text", "just text\n", "1:1: error: a configuration file is a map [it starts like `ports:`]\n"},
        {"invalid_utf8", "node: caf\xe9\n", "1:10: error: the byte 0xe9 is not UTF-8 [save the file as UTF-8]\n"},
        {"overlong_utf8", "node: \xc0\xaf\n", "1:7: error: the byte 0xc0 is not UTF-8 [save the file as UTF-8]\n"},
        {"surrogate", "node: \xed\xa0\x80\n", "1:7: error: the byte 0xed is not UTF-8 [save the file as UTF-8]\n"},
        {"control_character", "node: \x01\n", "1:7: error: the control character 0x01 has no place here [remove it]\n"},
        {"delete_character", "node: \x7f\n", "1:7: error: the control character 0x7f has no place here [remove it]\n"},
    };
    return table;
}

class ReaderTable : public ::testing::TestWithParam<Row> {};

TEST_P(ReaderTable, Text_GivesTheseFindingsAndNoOthers) { expect_findings(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Table, ReaderTable, ::testing::ValuesIn(reader_rows()), row_name);

} // namespace
} // namespace sluice::config::testing
