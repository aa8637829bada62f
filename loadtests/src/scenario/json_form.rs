//! [`JsonForm`]: a JSON document as a scenario file writes it.
//!
//! A number keeps its digits and an object the order of its members, which a [`serde_json::Value`] would not.

use serde_json::Value;

/// A JSON document whose strings may have placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JsonForm {
    /// `null`, a boolean or a number, as it is written.
    Literal(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<JsonForm>),
    /// An object.
    Object(Vec<(String, JsonForm)>),
}

impl JsonForm {
    /// Returns the number that a text is, if it is one; digits that no `f64` has are kept.
    pub(super) fn number(text: &str) -> Option<Self> {
        let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        is_number.then(|| Self::Literal(text.to_owned()))
    }

    /// Returns the document to compare a response with.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Literal(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => {
                Value::Object(members.iter().map(|(key, member)| (key.clone(), member.to_value())).collect())
            }
        }
    }
}

#[cfg(test)]
impl From<Value> for JsonForm {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.into_iter().map(|(key, member)| (key, Self::from(member))).collect())
            }
            other => Self::Literal(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_keeps_its_digits() {
        for text in ["7.50", "12345678901234567890123", "-1e3", "0"] {
            assert_eq!(JsonForm::number(text), Some(JsonForm::Literal(text.to_owned())));
        }
        for text in ["007", "+1", ".5", "0x1F", "\"1\"", "true", "1 2", ""] {
            assert_eq!(JsonForm::number(text), None, "{text}");
        }
    }

    #[test]
    fn a_document_is_the_value_that_it_was() {
        let value = json!({"a": [1, 2.5, "x", true, null], "b": {}});
        assert_eq!(JsonForm::from(value.clone()).to_value(), value);
    }
}
