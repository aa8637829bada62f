//! Placeholders as they are written: `{{ name }}`.

/// A part of a text with placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'t> {
    Text(&'t str),
    /// What stands between the braces.
    Placeholder(&'t str),
}

/// Cuts a text at its placeholders. No two texts follow one another, and none is empty. `None` where a placeholder is never
/// closed.
pub(super) fn segments(text: &str) -> Option<Vec<Segment<'_>>> {
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, behind) = after.split_once("}}")?;
        segments.push(Segment::Text(before));
        segments.push(Segment::Placeholder(inner.trim()));
        rest = behind;
    }
    segments.push(Segment::Text(rest));
    segments.retain(|segment| *segment != Segment::Text(""));
    Some(segments)
}

/// Returns a text with each placeholder replaced; `with` is given what stands between its braces. A `{{` that is never
/// closed stays as it is.
pub(crate) fn replace_placeholders(text: &str, with: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inner, behind)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(&with(inner));
        rest = behind;
    }
    out.push_str(rest);
    out
}
