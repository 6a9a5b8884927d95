// hybridgen passkey: a number hidden in a long text, asked for at the end, under each policy.
#include <algorithm>
#include <iostream>
#include <map>

#include "cli/chat_format.hpp"
#include "cli/command.hpp"
#include "cli/host_model_loader.hpp"
#include "cli/quality_bench.hpp"
#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "runtime/host/tier_placement.hpp"
#include "study/passkey.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen passkey EXPERIMENT.yaml [EXPERIMENT.yaml | PRESET]...: does the model find a number that is "
    "hidden in a\n"
    "long text?\n\n"
    "The text with the number is prefilled with full attention; the question is fed, and the answer is made, "
    "under the\n"
    "policy. Full attention's own success is printed first: what the model cannot do, no policy can lose.\n\n"
    "  hybridgen passkey configs/demo/full-gpu.yaml quest hybridgen --budget 512 --lengths 1024 4096\n";

constexpr Tokens kAnswerTokens = 8;  // five digits, and what may stand before them

struct PasskeyOptions {
  std::vector<Tokens> lengths = {512, 1024, 2048, 4096};
  int depths = 5;
  int trials = 1;
};

class PasskeyBench {
 public:
  explicit PasskeyBench(const LoadedExperiment& loaded) : loaded_(loaded) {
    const Machine& machine = loaded.platform.machine;
    model_ = load_host_model(loaded.model, source_of(machine, *machine.tier_of(TierKind::hbm)));
    const ChatFormat chat = chat_format_of(loaded.model.folder);
    head_ = encode_text(chat.before_user + PasskeyWords::head(), loaded.model);
    filler_ = encode_text(PasskeyWords::filler(), loaded.model);
    question_ = encode_text(PasskeyWords::question() + chat.before_answer +
                                (chat.before_answer.empty() ? " " : "") + PasskeyWords::answer_begins(),
                            loaded.model);
  }

  // Tokens of the last step's context, at this text length.
  Tokens context(Tokens length) const {
    return length + static_cast<Tokens>(question_.size()) + kAnswerTokens - 1;
  }

  bool finds(const QualitySubject& subject, Tokens length, int depth, int trial) {
    const std::string key = passkey(trial);
    std::vector<std::int32_t> ids = passkey_text(head_, filler_, hidden(key), length, depth);
    const auto from = static_cast<Tokens>(ids.size());
    ids.insert(ids.end(), question_.begin(), question_.end());
    ForcedRun run(loaded_, subject.composition, subject.params, model_, ids, from, kAnswerTokens);
    while (run.advance()) {
    }
    const std::vector<std::int32_t>& all = run.tokens();
    const std::vector<std::int32_t> answer(all.begin() + static_cast<std::ptrdiff_t>(ids.size()), all.end());
    return finds_key(decode_text(answer, loaded_.model.folder), key);
  }

 private:
  const std::vector<std::int32_t>& hidden(const std::string& key) {
    auto& ids = hidden_[key];
    if (ids.empty()) ids = encode_text(PasskeyWords::hidden(key), loaded_.model);
    return ids;
  }

  const LoadedExperiment& loaded_;
  std::shared_ptr<const HostModel> model_;
  std::vector<std::int32_t> head_, filler_, question_;
  std::map<std::string, std::vector<std::int32_t>> hidden_;  // by key
};

void check(const PasskeyOptions& options, const ModelShape& model) {
  if (options.depths < 1) throw BadInput("--depths must be at least 1: places of the number in the text");
  if (options.trials < 1) throw BadInput("--trials must be at least 1: numbers hidden at each place");
  for (const Tokens length : options.lengths) {
    if (length < 128) throw BadInput("--lengths must be at least 128 tokens: the question needs some text");
    if (length + 64 > model.max_context) {
      throw BadInput("--lengths " + std::to_string(length) + " and the question exceed the model's " +
                     std::to_string(model.max_context) + " tokens; use shorter texts");
    }
  }
}

}  // namespace

int passkey_command(const std::vector<std::string>& arguments) {
  QualityOptions options;
  PasskeyOptions passkey;
  Tokens budget = 0;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("lengths", po::value(&passkey.lengths)->multitoken(), "tokens of the text: 512 1024 2048 4096");
  add("depths", po::value(&passkey.depths), "places of the number, from the text's beginning to its end: 5");
  add("trials", po::value(&passkey.trials), "numbers hidden at each place: 1");
  add("budget", po::value(&budget),
      "rows per query head that a step may read, in each policy's own parameter; 0: as the files say");
  add("platform", po::value(&options.shared.platform),
      "platform to use instead of the experiment's: a name or a file");
  add("set", po::value(&options.shared.set)->composing(),
      "KEY.PATH=VALUE: replace a value of every experiment");
  add("json", po::bool_switch(&options.shared.json), "print JSON on standard output");
  if (!parse(arguments, kUsage, description, "EXPERIMENT.yaml", options.subjects)) return 0;
  const LoadedExperiment first = load_first(options);
  check(passkey, first.model.shape);
  PasskeyBench bench(first);
  std::vector<PasskeyCell> cells;
  Progress progress("passkey");
  for (const Tokens length : passkey.lengths) {
    std::vector<QualitySubject> subjects = load_subjects(options, first, budget, bench.context(length));
    subjects.insert(subjects.begin(), {"full attention", find_preset("full-gpu")->composition, {}});
    for (const QualitySubject& subject : subjects) {
      for (int i = 0; i < passkey.depths; ++i) {
        PasskeyCell cell{subject.name, length, passkey.depths == 1 ? 500 : 1000 * i / (passkey.depths - 1), 0,
                         passkey.trials};
        progress.show(cell.policy + ", " + std::to_string(length) + " tokens, place " +
                      std::to_string(i + 1));
        for (int trial = 0; trial < passkey.trials; ++trial) {
          if (bench.finds(subject, length, cell.depth, i * passkey.trials + trial)) ++cell.found;
        }
        cells.push_back(cell);
      }
    }
  }
  progress.clear();
  std::cout << (options.shared.json ? passkey_json(cells) : passkey_table(cells));
  return 0;
}

}  // namespace hybridgen::cli
