//! `docs/rules.md`: everything that may stand in a rule file, and every default rule, as Markdown.
//!
//! Generated from the catalogues, the JSON schema and the default files, so it cannot name what does not exist. The
//! conditions and thresholds of the default rules are shown as they are written there.

use std::fmt::Write as _;

use super::{
    embedded::EMBEDDED,
    entry::{RecommendationEntry, RuleEntry, RuleFile, Scalar},
    keys::{self, Keys, Need},
    schema, yaml,
};
use crate::rules::{fact, measure, scope::Scope, severity::Severity, unit::Unit, vocabulary};

/// What docs/rules.md begins with.
const INTRODUCTION: &str = "\
# Rules

<!-- Generated: cargo run -- rules reference > docs/rules.md -->

A rule names a *measure* of a *scope*, such as the mean duration of every endpoint, and a threshold for each *severity*.
Rules stand in the YAML files of a directory; without one the [default rules](#default-rules) are in force. A running
service reads an edited file again. If anything in it is wrong, the service reports every mistake and keeps the rules it has.
`pinchpoint rules check` finds the same mistakes before that.

```yaml
rules:
  - id: slow_checkout
    scope: endpoint
    measure: p95_duration
    match: { http_route: \"/checkout/*\" }
    thresholds: { high: \"> 500ms\", critical: \"> 2s\" }
    description: \"One in twenty requests of {subject} takes longer than {value}\"
    recommendations:
      - if: \"db_time_ratio > 0.5\"
        say: \"{db_time_ratio} of the time is spent in the database, most of it in: {top_query}\"
```

What several rules share stands once, under a name that begins with `x-`, and is taken with a merge key; what a rule says
itself wins:

```yaml
x-defaults: &defaults { scope: endpoint, window: 1m, for: 1m }
rules:
  - <<: *defaults
    id: slow
    measure: avg_duration
    thresholds: { high: \"> 1s\" }
    description: \"{subject} is slow\"
```

A rule that could never find anything is a mistake: an HTTP method that is `get`, more than 100% of a share, a `for` of
months. What only the running service can know, such as a metric that nothing records, `/performance/rules` says: how many
subjects each rule judges now, and why it is silent.
";

/// A default rule as it is written, and its file.
struct DefaultRule {
    path: &'static str,
    rule: RuleEntry,
}

/// Returns the whole document.
pub(super) fn markdown() -> String {
    let rules = default_rules();
    let schema: serde_json::Value = serde_json::from_str(&schema::text::<RuleFile>()).expect("a schema is JSON");
    let mut out = INTRODUCTION.to_owned();
    key_tables(&mut out, &schema);
    severities(&mut out, &schema);
    units(&mut out);
    names(&mut out);
    for scope in Scope::ALL.into_iter().chain([Scope::Slo]) {
        scope_section(&mut out, scope, &rules);
    }
    out += "\n## Default rules\n";
    for default in &rules {
        rule_section(&mut out, default);
    }
    out
}

fn default_rules() -> Vec<DefaultRule> {
    let files = EMBEDDED.iter().map(|(path, text)| {
        let file: RuleFile = yaml::from_str(text).expect("a test loads the embedded rules");
        (*path, file)
    });
    files.flat_map(|(path, file)| file.rules.into_iter().map(move |rule| DefaultRule { path, rule })).collect()
}

/// The keys of every mapping of a rule file, with the descriptions of the schema.
fn key_tables(out: &mut String, schema: &serde_json::Value) {
    *out += "\n## Keys\n";
    let mappings = [
        ("A rule", &keys::RULE, "RuleEntry"),
        ("A service-level objective, in the list `slo`; [slo.md](slo.md) explains them", &keys::OBJECTIVE, "SloEntry"),
        ("Each of `overrides`", &keys::OVERRIDE, "OverrideEntry"),
        ("Each of `recommendations`, where it is not a plain sentence", &keys::RECOMMENDATION, "ConditionalEntry"),
    ];
    for (title, keys, definition) in mappings {
        write_keys(out, title, keys, &schema["$defs"][definition]["properties"]);
    }
}

fn write_keys(out: &mut String, title: &str, keys: &Keys, properties: &serde_json::Value) {
    *out += &format!("\n{title}:\n\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in keys.keys {
        let property = &properties[key.name];
        let description = property["description"].as_str().unwrap_or_default();
        let (meaning, default) = split_default(description);
        let default = match key.need {
            Need::Required => "required",
            Need::Optional => default,
        };
        *out += &row(&[&code(key.name), type_of(property), default, &meaning]);
    }
}

/// Takes the sentence `Default: …` out of a description.
fn split_default(description: &str) -> (String, &str) {
    let Some((before, after)) = description.split_once(" Default: ") else { return (description.to_owned(), "–") };
    let (default, rest) = after.split_once(". ").unwrap_or((after.trim_end_matches('.'), ""));
    (format!("{before} {rest}").trim_end().to_owned(), default)
}

/// Returns the type that a person writes, from a property of the schema.
fn type_of(property: &serde_json::Value) -> &'static str {
    let reference = property["$ref"].as_str().unwrap_or_default();
    match (reference.rsplit('/').next(), property["type"].as_str()) {
        (Some("Duration"), _) => "duration",
        (Some("ThresholdsEntry"), _) => "thresholds by severity",
        (_, Some("integer")) => "number",
        (_, Some("array")) if property["items"]["type"] == "string" => "list of texts",
        (_, Some("array")) if property["items"]["type"] == "object" => "list of label patterns",
        (_, Some("array")) => "list",
        (_, Some("object")) => "label patterns",
        _ => "text",
    }
}

fn severities(out: &mut String, schema: &serde_json::Value) {
    *out += "\n## Severities\n\nFrom the lowest to the highest; a value that is over several thresholds has the highest of \
             their severities.\n\n| severity | meaning |\n|---|---|\n";
    for severity in Severity::ALL.map(Severity::as_str) {
        let meaning = &schema["$defs"]["ThresholdsEntry"]["properties"][severity]["description"];
        *out += &row(&[&code(severity), meaning.as_str().unwrap_or_default()]);
    }
}

fn units(out: &mut String) {
    *out += "\n## Units\n\nA threshold is a comparison (`>`, `>=`, `<`, `<=`) and a quantity in a unit of its measure.\n\n\
             | unit | written in | such as |\n|---|---|---|\n";
    for unit in Unit::ALL {
        let written = match unit {
            Unit::Count => "plain numbers".to_owned(),
            Unit::Ratio => "%, or a plain number from 0 to 1".to_owned(),
            _ => unit.expected(),
        };
        *out += &row(&[unit.as_str(), &written, unit.example()]);
    }
}

fn names(out: &mut String) {
    *out += "\n## Names in texts and conditions\n\nThe texts of a rule name values in braces; `{{` and `}}` stand for the \
             braces themselves.\n\nConditions (`if`, `only_if`) compare numbers with `>`, `>=`, `<`, `<=`, words with `==`, `!=`, `in (…)` \
             and `not in (…)`, and join comparisons with `and`, `or`, `not` and brackets: `operation == \"INSERT\"`, \
             `top_error in (\"409\", \"422\") and request_rate > 1/s`. A word may stand without quotes where it has no space, comma, \
             bracket or sign of a comparison in it. Letter case counts. `if` compares every number and word of its scope, `only_if` \
             its measures and words. A value that a word never has is a mistake, where all its values are known.\n\n\
             A comparison with a number that was not measured is false, and so is its opposite. A word that is not there, such as \
             `top_error` where nothing failed, is no word at all: `==` and `in` are false, `!=` and `not in` hold. `cause` has the \
             words of [causes.md](causes.md). Where several causes remain, `==` and `in` hold if all of those are meant, `!=` and \
             `not in` if none is.\n\nTexts of every scope may use:\n\n| name | meaning |\n|---|---|\n";
    for (name, meaning) in vocabulary::ALWAYS {
        *out += &row(&[&code(name), meaning]);
    }
}

fn scope_section(out: &mut String, scope: Scope, rules: &[DefaultRule]) {
    *out += &format!("\n## Scope {}\n\n{}\n", scope.as_str(), scope.about());
    *out += &match scope.labels() {
        Some([]) => "It has no labels to match.\n".to_owned(),
        Some(labels) => {
            let labels: Vec<_> = labels.iter().map(|label| code(label)).collect();
            format!("Labels to match: {}.\n", labels.join(", "))
        }
        None => "Every label of the metric can be matched.\n".to_owned(),
    };
    *out += "\n| measure | unit | meaning | used by |\n|---|---|---|---|\n";
    for entry in measure::of_scope(scope) {
        let unit = if scope == Scope::Metric { "of the metric" } else { entry.unit.as_str() };
        *out += &row(&[&code(entry.name), unit, entry.about, &users(rules, scope, entry.name)]);
    }
    *out += &not_exported(scope);
    let numbers: Vec<_> = fact::NUMBERS.iter().filter(|(of, ..)| *of == scope).collect();
    let words: Vec<_> = fact::WORDS.iter().filter(|(of, ..)| *of == scope).collect();
    if numbers.is_empty() && words.is_empty() {
        return;
    }
    *out += "\n| other fact | unit | meaning | used by |\n|---|---|---|---|\n";
    for (_, fact, about) in numbers {
        *out += &row(&[&code(fact.name), fact.unit.as_str(), about, &users(rules, scope, fact.name)]);
    }
    for (_, fact, about) in words {
        *out += &row(&[&code(fact.name), "word", about, &users(rules, scope, fact.name)]);
    }
    if scope == Scope::Slo {
        return;
    }
    let labels: Vec<_> =
        vocabulary::words(scope).filter(|word| fact::label_of_word(word).is_some()).map(code).collect();
    *out += &match labels.is_empty() {
        true => {
            "\nA rule whose `only_if` compares a word is not exported to Prometheus: the process alone knows these.\n"
                .to_owned()
        }
        false => format!(
            "\nA rule whose `only_if` compares a word is exported to Prometheus if that is a label: {}. The process alone knows the others.\n",
            labels.join(", ")
        ),
    };
}

/// Returns which measures of a scope are not exported to Prometheus, by their reasons.
fn not_exported(scope: Scope) -> String {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for entry in measure::of_scope(scope) {
        let Some(reason) = entry.measure.not_exported() else { continue };
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(code(entry.name)),
            None => by_reason.push((reason, vec![code(entry.name)])),
        }
    }
    let lines = by_reason.iter().map(|(reason, names)| format!("- {}: {reason}.\n", names.join(", ")));
    let mut lines: String = lines.collect();
    if measure::find(scope, fact::ABSENT_FOR.name).is_some() {
        lines += "- `absent_for` in `only_if`: Prometheus judges a silence by a threshold alone.\n";
    }
    if lines.is_empty() { lines } else { format!("\nNot exported to Prometheus:\n\n{lines}") }
}

/// Returns the default rules of a scope that use a name, as links.
fn users(rules: &[DefaultRule], scope: Scope, name: &str) -> String {
    let of_scope = rules.iter().filter(|default| text(&default.rule.scope) == scope.as_str());
    let users: Vec<_> =
        of_scope.filter(|default| uses(&default.rule, name)).map(|default| link(&default.rule)).collect();
    users.join(", ")
}

fn uses(rule: &RuleEntry, name: &str) -> bool {
    let mut texts = vec![text(&rule.measure), text(&rule.only_if)];
    let mut filled = vec![text(&rule.description), text(&rule.impact)];
    for recommendation in rule.recommendations.iter().flatten() {
        match recommendation {
            RecommendationEntry::Always(say) => filled.push(&say.0),
            RecommendationEntry::When(entry) => {
                texts.push(text(&entry.condition));
                filled.push(text(&entry.say));
            }
        }
    }
    let placeholder = format!("{{{name}}}");
    let is_word = |text: &&str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
    texts.iter().any(is_word) || filled.iter().any(|text| text.contains(&placeholder))
}

fn rule_section(out: &mut String, default: &DefaultRule) {
    let rule = &default.rule;
    *out += &format!("\n### {}\n\n{}.\n\n| | |\n|---|---|\n", text(&rule.id), code(text(&rule.description)));
    let every = if text(&rule.scope) == Scope::Process.as_str() { "the" } else { "every" };
    let measure = format!("{} of {every} {}", code(text(&rule.measure)), text(&rule.scope));
    *out += &row(&["measure", &measure]);
    *out += &row(&["thresholds", &thresholds(rule)]);
    let optional = [
        ("window", &rule.window),
        ("min_samples", &rule.min_samples),
        ("for", &rule.hold),
        ("keep_firing_for", &rule.keep_firing_for),
        ("only_if", &rule.only_if),
        ("impact", &rule.impact),
    ];
    for (key, value) in optional {
        if value.is_some() {
            *out += &row(&[&code(key), &code(text(value))]);
        }
    }
    *out += &row(&["file", &format!("[{0}](../{0})", default.path)]);
    *out += "\nWhat to do:\n\n";
    for recommendation in rule.recommendations.iter().flatten() {
        let _ = match recommendation {
            RecommendationEntry::Always(say) => writeln!(out, "- {}", plain(&say.0)),
            RecommendationEntry::When(entry) => {
                writeln!(out, "- if {}: {}", code(text(&entry.condition)), plain(text(&entry.say)))
            }
        };
    }
}

fn thresholds(rule: &RuleEntry) -> String {
    let Some(entry) = &rule.thresholds else { return String::new() };
    let limits = [&entry.low, &entry.medium, &entry.high, &entry.critical];
    let written = Severity::ALL.into_iter().zip(limits).filter(|(_, limit)| limit.is_some());
    written.map(|(severity, limit)| format!("{severity} {}", code(text(limit)))).collect::<Vec<_>>().join(", ")
}

fn link(rule: &RuleEntry) -> String {
    let id = text(&rule.id);
    format!("[{id}](#{id})")
}

fn text(scalar: &Option<Scalar>) -> &str {
    scalar.as_ref().map_or("", |Scalar(text)| text)
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Escapes what a sentence has that Markdown would read as mark-up.
fn plain(text: &str) -> String {
    text.replace('_', "\\_").replace('*', "\\*").replace('<', "&lt;")
}

fn row(cells: &[&str]) -> String {
    let cells: String = cells.iter().map(|cell| format!(" {} |", cell.replace('|', "\\|"))).collect();
    format!("|{cells}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_of_rules_is_current() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
        let current = std::fs::read_to_string(path).unwrap_or_default();
        assert!(current == markdown(), "run: cargo run -- rules reference > docs/rules.md");
    }

    #[test]
    fn every_default_rule_has_a_heading_of_its_own() {
        let text = markdown();
        for id in crate::RuleSet::embedded().ids() {
            assert!(text.contains(&format!("\n### {id}\n")), "{id}");
        }
    }

    #[test]
    fn a_default_is_taken_out_of_a_description() {
        assert_eq!(
            split_default("How long. Default: 5m. None for growth."),
            ("How long. None for growth.".into(), "5m")
        );
        assert_eq!(split_default("How long. Default: 1m."), ("How long.".into(), "1m"));
        assert_eq!(split_default("How long."), ("How long.".into(), "–"));
    }
}
