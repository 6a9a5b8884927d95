#include "formats/yaml_reader.hpp"

#include "formats/yaml_scalar.hpp"
#include "formats/yaml_text.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

// A small schema with one key of every kind.
void read_sample(const std::string& text, const std::vector<std::pair<std::string, std::string>>& set = {}) {
  YamlErrors errors("f.yaml");
  YamlPtr root = parse_yaml(text, errors);
  errors.throw_if_any();
  for (const auto& [key, value] : set) set_by_path(root, key, value, errors);
  YamlMap map({root.get(), ""}, errors);
  map.text("name", Need::required);
  map.number("bandwidth_GBps", Need::optional, kAboveZero);
  map.integer("threads", Need::optional, {1, 64});
  map.decimal("ratio", Need::optional, {6, 0, 1'000'000});
  map.flag("on", Need::optional);
  map.choice("kind", Need::optional, {"kind", {"memory", "link"}, true});
  map.choices("roles", Need::optional, {"role", {"host", "device"}, true});
  for (const YamlItem& item : map.list("items", Need::optional)) {
    YamlMap entry(item, errors);
    entry.text("name", Need::required);
    entry.finish();
  }
  map.finish();
  errors.throw_if_any();
}

struct Case {
  const char* text;
  const char* message;
};

TEST(YamlReader, bad_text_says_place_key_and_remedy) {
  const Case cases[] = {
      {"name: a\nbandwith_GBps: 3\n", "f.yaml:2:1: bandwith_GBps: unknown key; did you mean bandwidth_GBps?"},
      {"name: a\nbandwidth: 3\n", "f.yaml:2:1: bandwidth: unknown key; did you mean bandwidth_GBps?"},
      {"nmae: a\n", "f.yaml:1:1: nmae: unknown key; did you mean name?"},
      {"name: a\ncolour: 3\n",
       "f.yaml:2:1: colour: unknown key; valid here: name, bandwidth_GBps, threads, ratio, on, kind, roles, "
       "items"},
      {"name: a\nname: b\n", "f.yaml:2:1: name: duplicate key, first written in line 1; remove one of them"},
      {"threads: 2\n", "f.yaml:1:1: name: missing; add name: text"},
      {"items:\n  - name: x\n  - {}\nname: a\n", "f.yaml:3:5: items[1].name: missing; add name: text"},
      {"name: a\nbandwidth_GBps: abc\n",
       "f.yaml:2:17: bandwidth_GBps: expected a number, found text 'abc'; write a number above 0"},
      {"name: a\nbandwidth_GBps: '3'\n",
       "f.yaml:2:17: bandwidth_GBps: expected a number, found text '3'; remove the quotes"},
      {"name: a\nbandwidth_GBps: .nan\n",
       "f.yaml:2:17: bandwidth_GBps: expected a number, found .nan; write a number above 0"},
      {"name: a\nbandwidth_GBps: -.Inf\n",
       "f.yaml:2:17: bandwidth_GBps: expected a number, found -.Inf; write a number above 0"},
      {"name: a\nbandwidth_GBps: 1e999\n",
       "f.yaml:2:17: bandwidth_GBps: 1e999 is out of range; write a number above 0"},
      {"name: a\nbandwidth_GBps: 0x10\n",
       "f.yaml:2:17: bandwidth_GBps: expected a number, found text '0x10'; write a number above 0"},
      {"name: a\nbandwidth_GBps: -3\n",
       "f.yaml:2:17: bandwidth_GBps: -3 is out of range; write a number above 0"},
      {"name: a\nbandwidth_GBps:\n", "f.yaml:2:1: bandwidth_GBps: has no value; write a number above 0"},
      {"name: a\nthreads: 2x\n",
       "f.yaml:2:10: threads: expected an integer, found text '2x'; write an integer between 1 and 64"},
      {"name: a\nthreads: 2.0\n",
       "f.yaml:2:10: threads: expected an integer, found the number 2.0; write an integer between 1 and 64"},
      {"name: a\nthreads: 99999999999999999999\n",
       "f.yaml:2:10: threads: 99999999999999999999 is out of range; write an integer between 1 and 64"},
      {"name: a\nratio: 1.000001\n",
       "f.yaml:2:8: ratio: 1.000001 is out of range; write a number between 0 and 1"},
      {"name: a\nratio: 0.1234567\n",
       "f.yaml:2:8: ratio: 0.1234567 has more digits than are kept; round it to a multiple of 0.000001"},
      {"name: a\non: yes\n", "f.yaml:2:5: on: expected true or false, found text 'yes'; write true or false"},
      {"name: a\nkind: lnik\n",
       "f.yaml:2:7: kind: unknown kind 'lnik'; did you mean link? (valid: memory, link)"},
      {"name: a\nkind: [link]\n",
       "f.yaml:2:7: kind: expected a kind, found a list; write a kind (valid: memory, link)"},
      {"name: a\nroles: [host, host]\n", "f.yaml:2:15: roles[1]: 'host' stands here twice; remove one"},
      {"name: a\nroles: host\n",
       "f.yaml:2:8: roles: expected a list, found text 'host'; write a list, [a, b]"},
      {"name: 5\n", "f.yaml:1:7: name: expected text, found the number 5; put it in quotes if it is meant"},
      {"name: ''\n", "f.yaml:1:7: name: is empty; write text"},
      {"- a\n", "f.yaml:1:1: expected a mapping, found a list; write key: value below it"},
      {"name: a\n  threads: 2\n",
       "f.yaml:2:10: syntax: illegal map value; check the indentation, quotes and brackets here"},
      {"name: [a\n",
       "f.yaml:2:1: syntax: end of sequence flow not found; check the indentation, quotes and "
       "brackets here"},
      {"name: a\n---\nname: b\n", "f.yaml:3:1: syntax: a second document; keep one per file"},
      {"name: *x\n",
       "f.yaml:1:7: syntax: the referenced anchor is not defined; check the indentation, quotes "
       "and brackets here"},
      {"{a: b}: c\n", "f.yaml:1:1: syntax: a key must be a word; write key: value"},
      {"name: &x [*x]\n", "f.yaml:1:11: syntax: an alias inside its own anchor; write the value out"},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(complaint([&] { read_sample(each.text); }), each.message) << each.text;
  }
}

TEST(YamlReader, several_faults_all_said_in_order_of_place) {
  EXPECT_EQ(complaint([] { read_sample("threads: 0\nkind: x\nname: a\nnmae: b\n"); }),
            "f.yaml:1:10: threads: 0 is out of range; write an integer between 1 and 64\n"
            "f.yaml:2:7: kind: unknown kind 'x'; valid: memory, link\n"
            "f.yaml:4:1: nmae: unknown key; did you mean name?");
}

TEST(YamlReader, good_text_is_accepted) {
  for (const char* text : {"name: a", "name: '5'", "name: a\nratio: 5e-2", "name: a\nratio: +1.0000000",
                           "name: a\nthreads: 64\non: true", "{name: a, roles: [device, host]}",
                           "base: &b {name: a}\n", "name: &n a\nkind: &k link\n"}) {
    const bool has_extra = std::string(text).starts_with("base");
    EXPECT_EQ(complaint([&] { read_sample(text); }).empty(), !has_extra) << text;
  }
  EXPECT_EQ(complaint([] { read_sample("items:\n  - &i {name: x}\n  - *i\n  - {<<: *i}\nname: a\n"); }), "");
}

TEST(YamlReader, merge_key_own_value_wins) {
  YamlErrors errors("f.yaml");
  const YamlPtr root = parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", errors);
  ASSERT_TRUE(root);
  YamlMap map({root.get(), ""}, errors);
  YamlMap b(map.map("b", Need::required), errors);
  EXPECT_EQ(b.integer("x", Need::required, {}), 1);
  EXPECT_EQ(b.integer("y", Need::required, {}), 3);
}

TEST(YamlReader, override_is_named_instead_of_a_line) {
  EXPECT_EQ(complaint([] {
              read_sample("name: a", {{"threads", "0"}, {"thraeds", "1"}, {"name.x", "1"}});
            }),
            "--set name.x=1: name: has no keys of its own; set name itself\n"
            "--set threads=0: threads: 0 is out of range; write an integer between 1 and 64\n"
            "--set thraeds=1: thraeds: unknown key; did you mean threads?");
  EXPECT_EQ(complaint([] { read_sample("threads: 0", {{"threads", "3"}, {"name", "b"}}); }), "");
}

TEST(YamlReader, override_in_an_anchor_leaves_other_uses_alone) {
  YamlErrors errors("f.yaml");
  YamlPtr root = parse_yaml("a: &a {x: 1}\nb: *a\n", errors);
  set_by_path(root, "b.x", "2", errors);
  YamlMap map({root.get(), ""}, errors);
  EXPECT_EQ(YamlMap(map.map("a", Need::required), errors).integer("x", Need::required, {}), 1);
  EXPECT_EQ(YamlMap(map.map("b", Need::required), errors).integer("x", Need::required, {}), 2);
}

TEST(Decimal, digits_are_kept_exactly) {
  EXPECT_EQ(to_decimal("0.05", 6).value, 50'000);
  EXPECT_EQ(to_decimal("5e-2", 6).value, 50'000);
  EXPECT_EQ(to_decimal("-1.5", 3).value, -1'500);
  EXPECT_EQ(to_decimal("9223372036854775807", 0).value, 9223372036854775807LL);
  EXPECT_EQ(to_decimal("-9223372036854775808", 0).value, std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(to_decimal("9223372036854775808", 0).fault, DecimalFault::too_large);
  EXPECT_EQ(to_decimal("1e400", 6).fault, DecimalFault::too_large);
  EXPECT_EQ(to_decimal("1e-400", 6).fault, DecimalFault::too_fine);
  EXPECT_EQ(to_decimal("0e-400", 6).value, 0);
  EXPECT_EQ(to_decimal("0.000000100", 7).value, 1);
}

TEST(Decimal, every_ppm_reads_back) {
  for (std::int64_t value = 0; value <= 1'000'000; value += 7) {
    ASSERT_EQ(to_decimal(decimal_text(value, 6), 6).value, value);
  }
  EXPECT_EQ(decimal_text(-1'500, 3), "-1.5");
  EXPECT_EQ(decimal_text(2048, 0), "2048");
}

TEST(NearestName, near_names_only) {
  EXPECT_EQ(nearest_name("capacity_gib", {"capacity_GiB"}), "capacity_GiB");
  EXPECT_EQ(nearest_name("hots", {"host", "device"}), "host");
  EXPECT_EQ(nearest_name("zzz", {"host", "device"}), "");
  EXPECT_EQ(nearest_name("", {"host"}), "");
}

TEST(YamlText, strings_read_back) {
  for (const std::string text :
       {"plain", "with: colon", "#no comment", "-1", "null", "true", "a\"b\\c", "line\nline", "\x01", ".nan",
        "ü", " lead", "/a/b.txt", "~", "12x", "[a]", "1e5"}) {
    YamlErrors errors("f");
    const YamlPtr root = parse_yaml("k: " + yaml_string(text) + "\n", errors);
    ASSERT_TRUE(root) << text;
    YamlMap map({root.get(), ""}, errors);
    EXPECT_EQ(map.text("k", Need::required), text);
  }
}

}  // namespace
}  // namespace hybridgen
