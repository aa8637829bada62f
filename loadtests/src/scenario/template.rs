//! Text with placeholders: `/api/products/{{ product }}`.
//!
//! Names are resolved to slots when the text is read. An unknown name is therefore an error before the first request, and
//! a known one costs an index lookup while the test runs. How a value is written follows from its place, so that it is one
//! value there whatever characters it has.

use thiserror::Error;

use super::{
    json_form::JsonForm,
    names::{BUILT_IN, Names, Values},
    placeholder::{Segment, replace_placeholders, segments},
    random::Random,
    suggestion::closest,
    syntax::{Placement, Placements, Syntax, push_json_escaped, push_percent_encoded},
};

/// What placeholders are filled from.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    /// Captured values and data.
    pub(crate) values: &'a Values,
    /// The number of the user, from 1.
    pub(crate) user: usize,
    /// The number of the user's iteration, from 1.
    pub(crate) iteration: u64,
    /// The user's random generator.
    pub(crate) random: &'a mut Random,
}

/// A text whose placeholders have been parsed.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Value { source: ValueSource, filter: Filter, placement: Placement },
}

#[derive(Clone, Debug)]
enum ValueSource {
    Slot(usize),
    User,
    Iteration,
    Random(i64, i64),
    Uuid,
}

/// What is written behind a name: `{{ name | url }}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    /// Nothing: written as its place needs it.
    Auto,
    Url,
    Json,
    /// In a `json:` body, without the quotes around it.
    Number,
    /// As it is, whatever its place.
    Raw,
}

/// A placeholder without a value; holds its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingValue(pub(crate) usize);

/// A text that is not a template.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// `{{` without `}}`.
    #[error("\"{{{{\" is never closed; write {{{{ name }}}}")]
    Unclosed,
    /// Nothing defines the name.
    #[error("unknown name \"{name}\"; {hint}")]
    UnknownName {
        /// As written.
        name: String,
        /// What was probably meant, or which names are known.
        hint: String,
    },
    /// The filter does not exist.
    #[error("unknown filter \"{0}\"; there are url, json, number and raw")]
    UnknownFilter(String),
    /// It is neither a name nor `random(LOW, HIGH)`.
    #[error("\"{0}\" is not understood; expected a name or random(LOW, HIGH)")]
    BadCall(String),
    /// The environment variable is not set.
    #[error("environment variable {0} is not set")]
    NoEnvironment(String),
}

impl Template {
    /// Parses a text of a language. Every name in it must be built in or known.
    pub(crate) fn parse(text: &str, names: &Names, syntax: Syntax) -> Result<Self, TemplateError> {
        let segments = segments(text).ok_or(TemplateError::Unclosed)?;
        let (mut parts, mut placements) = (Vec::new(), Placements::new(syntax));
        for (index, segment) in segments.iter().enumerate() {
            match segment {
                Segment::Text(text) => {
                    placements.read(text);
                    push_text(&mut parts, text);
                }
                Segment::Placeholder(inner) => {
                    let after = match segments.get(index + 1) {
                        Some(Segment::Text(after)) => after,
                        Some(Segment::Placeholder(_)) => "{",
                        None => "",
                    };
                    push_placeholder(&mut parts, inner, placements.next(after), names)?;
                }
            }
        }
        Ok(Self { parts })
    }

    /// Returns a JSON document whose strings may have placeholders. A string that is `{{ name | number }}` becomes a bare
    /// value: YAML has no way to write a number that is a placeholder.
    pub(crate) fn json(document: &JsonForm, names: &Names) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        push_json(&mut parts, document, names)?;
        Ok(Self { parts })
    }

    /// Returns the slots of its values.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { source: ValueSource::Slot(slot), .. } => Some(*slot),
            Part::Value { .. } | Part::Text(_) => None,
        })
    }

    /// Returns its texts, without the placeholders between them.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Value { .. } => None,
        })
    }

    /// Returns the text if it has no placeholder.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the text with all placeholders filled.
    pub(crate) fn render(&self, scope: &mut Scope<'_>) -> Result<String, MissingValue> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { source, filter, placement } => {
                    let number;
                    let value = match source {
                        ValueSource::Slot(slot) => scope.values.at(*slot).ok_or(MissingValue(*slot))?,
                        ValueSource::User => {
                            number = scope.user.to_string();
                            &number
                        }
                        ValueSource::Iteration => {
                            number = scope.iteration.to_string();
                            &number
                        }
                        ValueSource::Random(low, high) => {
                            number = scope.random.between(*low, *high).to_string();
                            &number
                        }
                        ValueSource::Uuid => {
                            number = uuid(scope.random);
                            &number
                        }
                    };
                    write_value(value, *filter, *placement, &mut out);
                }
            }
        }
        Ok(out)
    }

    /// Returns the text as a name: without its query, and with placeholders in single braces, as in a route.
    pub(crate) fn to_name(text: &str) -> String {
        let path = text.split_once('?').map_or(text, |(path, _)| path);
        replace_placeholders(path, |inner| format!("{{{}}}", inner.split(['|', '(']).next().unwrap_or_default().trim()))
    }
}

/// Writes a value through its filter, as its place needs it.
fn write_value(value: &str, filter: Filter, placement: Placement, out: &mut String) {
    let mut filtered = String::new();
    let is_json = matches!(placement, Placement::JsonString | Placement::JsonValue);
    match filter {
        Filter::Raw => return out.push_str(value),
        Filter::Json if !is_json => push_json_escaped(value, &mut filtered),
        Filter::Url if placement == Placement::Percent => {}
        Filter::Url => push_percent_encoded(value, &mut filtered),
        Filter::Auto | Filter::Json | Filter::Number => {}
    }
    placement.write(if filtered.is_empty() { value } else { &filtered }, out);
}

fn push_json(parts: &mut Vec<Part>, document: &JsonForm, names: &Names) -> Result<(), TemplateError> {
    match document {
        JsonForm::Literal(text) => push_text(parts, text),
        JsonForm::Text(text) => {
            let segments = segments(text).ok_or(TemplateError::Unclosed)?;
            if let [Segment::Placeholder(inner)] = segments.as_slice()
                && filter_of(inner)?.1 == Filter::Number
            {
                return push_placeholder(parts, inner, Placement::JsonValue, names);
            }
            push_json_string(parts, segments, names)?;
        }
        JsonForm::List(items) => {
            push_text(parts, "[");
            for (index, item) in items.iter().enumerate() {
                push_text(parts, if index == 0 { "" } else { "," });
                push_json(parts, item, names)?;
            }
            push_text(parts, "]");
        }
        JsonForm::Object(members) => {
            push_text(parts, "{");
            for (index, (key, member)) in members.iter().enumerate() {
                push_text(parts, if index == 0 { "" } else { "," });
                push_json_string(parts, segments(key).ok_or(TemplateError::Unclosed)?, names)?;
                push_text(parts, ":");
                push_json(parts, member, names)?;
            }
            push_text(parts, "}");
        }
    }
    Ok(())
}

fn push_json_string(parts: &mut Vec<Part>, segments: Vec<Segment<'_>>, names: &Names) -> Result<(), TemplateError> {
    push_text(parts, "\"");
    for segment in segments {
        match segment {
            Segment::Text(text) => {
                let mut escaped = String::new();
                push_json_escaped(text, &mut escaped);
                push_text(parts, &escaped);
            }
            Segment::Placeholder(inner) => push_placeholder(parts, inner, Placement::JsonString, names)?,
        }
    }
    push_text(parts, "\"");
    Ok(())
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if text.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(Part::Text(before)) => before.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// Returns the name and the filter of a placeholder.
fn filter_of(inner: &str) -> Result<(&str, Filter), TemplateError> {
    let Some((name, filter)) = inner.split_once('|') else { return Ok((inner, Filter::Auto)) };
    let filter = match filter.trim() {
        "url" => Filter::Url,
        "json" => Filter::Json,
        "number" => Filter::Number,
        "raw" => Filter::Raw,
        other => return Err(TemplateError::UnknownFilter(other.to_owned())),
    };
    Ok((name.trim(), filter))
}

fn push_placeholder(
    parts: &mut Vec<Part>,
    inner: &str,
    placement: Placement,
    names: &Names,
) -> Result<(), TemplateError> {
    let (name, filter) = filter_of(inner)?;
    let source = if let Some(slot) = names.find(name) {
        ValueSource::Slot(slot)
    } else if let Some(variable) = name.strip_prefix("env.") {
        let value = std::env::var(variable).map_err(|_| TemplateError::NoEnvironment(variable.to_owned()))?;
        let mut fixed = String::new();
        write_value(&value, filter, placement, &mut fixed);
        push_text(parts, &fixed);
        return Ok(());
    } else {
        built_in(name)
            .unwrap_or_else(|| Err(TemplateError::UnknownName { name: name.to_owned(), hint: hint(name, names) }))?
    };
    parts.push(Part::Value { source, filter, placement });
    Ok(())
}

/// Returns the source of a name that needs no data; `None` for another name.
fn built_in(name: &str) -> Option<Result<ValueSource, TemplateError>> {
    let Some((call, arguments)) = name.split_once('(') else {
        return match name {
            "user" => Some(Ok(ValueSource::User)),
            "iteration" => Some(Ok(ValueSource::Iteration)),
            "uuid" => Some(Ok(ValueSource::Uuid)),
            _ => None,
        };
    };
    let range = || {
        let (low, high) = arguments.strip_suffix(')')?.split_once(',')?;
        let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
        (call.trim() == "random" && low <= high).then_some(ValueSource::Random(low, high))
    };
    Some(range().ok_or_else(|| TemplateError::BadCall(name.to_owned())))
}

fn hint(name: &str, names: &Names) -> String {
    let known: Vec<&str> = names.iter().chain(BUILT_IN).collect();
    match closest(name, &known) {
        Some(candidate) => format!("did you mean \"{candidate}\"?"),
        None => format!("known here: {}, random(LOW, HIGH), env.NAME", known.join(", ")),
    }
}

fn uuid(random: &mut Random) -> String {
    let high = (random.bits() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000;
    let low = (random.bits() & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const COLUMNS: [&str; 5] = ["token", "term", "note", "price", "object"];

    fn names(all: &[&str]) -> Names {
        let mut names = Names::default();
        for name in all {
            names.define_column(name);
        }
        names
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        check_in(Syntax::Plain, text, expected);
    }

    #[track_caller]
    fn check_in(syntax: Syntax, text: &str, expected: &str) {
        let template = Template::parse(text, &names(&COLUMNS), syntax).unwrap();
        assert_eq!(rendered(&template), expected);
    }

    #[track_caller]
    fn check_json(value: Value, expected: &str) {
        assert_eq!(rendered(&Template::json(&value.into(), &names(&COLUMNS)).unwrap()), expected);
    }

    fn rendered(template: &Template) -> String {
        let mut values = Values::default();
        for (slot, value) in ["abc", "a b&\"", "say \"hi\" \\ now\n<b>", "7.50", "{\"a\": [1]}"].iter().enumerate() {
            values.set(slot, (*value).to_owned());
        }
        let mut random = Random::new(1);
        let mut scope = Scope { values: &values, user: 3, iteration: 9, random: &mut random };
        template.render(&mut scope).unwrap()
    }

    #[test]
    fn fills_placeholders() {
        check("plain", "plain");
        check("", "");
        check("Bearer {{ token }}", "Bearer abc");
        check("{{token}}{{user}}-{{ iteration }}", "abc3-9");
        check("/search?q={{ term | url }}", "/search?q=a%20b%26%22");
        check("{\"q\":\"{{ term | json }}\"}", "{\"q\":\"a b&\\\"\"}");
        check("{{ random(5, 5) }}", "5");
        check("a }} b", "a }} b");
    }

    #[test]
    fn a_value_in_json_stays_one_value() {
        let note = r#"say \"hi\" \\ now\n<b>"#;
        check_in(Syntax::Json, r#"{"n": "{{ note }}"}"#, &format!(r#"{{"n": "{note}"}}"#));
        check_in(Syntax::Json, r#"{"n": "\"{{ note | json }}"}"#, &format!(r#"{{"n": "\"{note}"}}"#));
        check_in(Syntax::Json, r#"{"n": {{ note }}}"#, &format!(r#"{{"n": "{note}"}}"#));
        check_in(Syntax::Json, r#"[{{ price }},{{ object }} , "{{ price }}"]"#, r#"[7.50,{"a": [1]} , "7.50"]"#);
        check_in(Syntax::Json, r#"[-{{ price }}, {{ user }}.5]"#, "[-7.50, 3.5]");
        check_in(Syntax::Json, "{{ object }}", r#"{"a": [1]}"#);
        check_in(Syntax::Json, r#"{"{{ note }}": 1}"#, &format!(r#"{{"{note}": 1}}"#));
        check_json(json!({"n": "{{ note }}", "m": ["x {{ note }}"]}), &format!(r#"{{"m":["x {note}"],"n":"{note}"}}"#));
        check_json(json!({"{{ price | number }}": 1}), r#"{"7.50":1}"#);
        check_json(json!({"{{ note }}": {}}), &format!(r#"{{"{note}":{{}}}}"#));
    }

    #[test]
    fn number_filter_takes_the_quotes_away() {
        check_json(
            json!(["{{ price | number }}", "{{ price }}", "n {{ price | number }}"]),
            r#"[7.50,"7.50","n 7.50"]"#,
        );
        check_json(json!("{{ term | number }}"), r#""a b&\"""#);
        check_json(json!("\"{{ price | number }}\" {{ user | number }}"), r#""\"7.50\" 3""#);
    }

    #[test]
    fn a_value_in_an_address_or_a_form_stays_one_value() {
        check_in(Syntax::Path, "/a/{{ term }}?q={{ term }}", "/a/a%20b%26%22?q=a%20b%26%22");
        check_in(Syntax::Path, "/a?q={{ term | url }}&f={{ object | raw }}", "/a?q=a%20b%26%22&f={\"a\": [1]}");
        check_in(Syntax::Path, "/a?f={\"t\":\"{{ term | json }}\"}", "/a?f={\"t\":\"a%20b%26%5C%22\"}");
        check_in(Syntax::Path, "{{ term }}/{{ term }}", "a b&\"/a%20b%26%22");
        check_in(Syntax::Form, "a={{ term }}&{{ term }}=b", "a=a%20b%26%22&a%20b%26%22=b");
        check_in(Syntax::Form, "{{ term }}", "a b&\"");
        check_in(
            Syntax::Markup,
            "<a b=\"{{ term }}\">{{ note | raw }}",
            "<a b=\"a b&amp;&quot;\">say \"hi\" \\ now\n<b>",
        );
    }

    #[test]
    fn a_name_of_the_scenarios_own_hides_the_built_in_one() {
        let template = Template::parse("{{ user }} {{ uuid }}", &names(&["uuid", "user"]), Syntax::Plain).unwrap();
        assert_eq!(rendered(&template), "a b&\" abc");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let names = names(&["token"]);
        let refusal = |text: &str| Template::parse(text, &names, Syntax::Plain).unwrap_err().to_string();
        assert_eq!(refusal("{{ tokn }}"), "unknown name \"tokn\"; did you mean \"token\"?");
        assert_eq!(
            refusal("{{ zzzzzzzz }}"),
            "unknown name \"zzzzzzzz\"; known here: token, user, iteration, uuid, random(LOW, HIGH), env.NAME"
        );
        assert_eq!(refusal("{{ token"), "\"{{\" is never closed; write {{ name }}");
        assert_eq!(refusal("{{ token | up }}"), "unknown filter \"up\"; there are url, json, number and raw");
        assert!(refusal("{{ random(9, 1) }}").starts_with("\"random(9, 1)\" is not understood"));
        assert!(refusal("{{ env.PINCHPOINT_NOT_SET }}").contains("not set"));
    }

    #[test]
    fn name_hides_values_and_query() {
        assert_eq!(Template::to_name("/api/products/{{ product | url }}?page={{ p }}"), "/api/products/{product}");
        assert_eq!(Template::to_name("/items/{{ random(1, 9) }}"), "/items/{random}");
    }

    #[test]
    fn missing_value_names_its_slot() {
        let names = names(&["a", "b"]);
        let values = Values::default();
        let mut random = Random::new(1);
        let mut scope = Scope { values: &values, user: 1, iteration: 1, random: &mut random };
        assert_eq!(Template::parse("{{ b }}", &names, Syntax::Plain).unwrap().render(&mut scope), Err(MissingValue(1)));
    }

    #[test]
    fn uuid_is_of_version_four() {
        let text = uuid(&mut Random::new(1));
        assert_eq!((text.len(), &text[14..15]), (36, "4"));
        assert!("89ab".contains(&text[19..20]));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            for syntax in [Syntax::Plain, Syntax::Path, Syntax::Json, Syntax::Form, Syntax::Markup] {
                let _ = Template::parse(&text, &names(&["a"]), syntax);
            }
            let _ = Template::to_name(&text);
        }
    }
}
