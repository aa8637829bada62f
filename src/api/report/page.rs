//! [`Page`]: HTML being written.
//!
//! Markup enters as a literal of this program only, and everything else is escaped. There is no third way in, so a
//! browser shows a route called `<script>` and never runs it.

/// HTML being written.
#[derive(Debug, Default)]
pub(in crate::api) struct Page(String);

impl Page {
    /// Adds markup.
    pub(in crate::api) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, also inside a quoted attribute.
    pub(in crate::api) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Browsers do not show control characters, and a NUL is an error in HTML.
                c if c.is_control() && c != '\n' && c != '\t' => self.0.push('\u{fffd}'),
                // They turn around what follows them, as far as the end of the line: a name could make other text read as it likes.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Adds a number as SVG takes it: two digits behind the point, and 0 for what is not finite.
    pub(in crate::api) fn number(&mut self, value: f64) -> &mut Self {
        let value = if value.is_finite() { value } else { 0.0 };
        let text = format!("{value:.2}");
        self.0.push_str(text.trim_end_matches('0').trim_end_matches('.'));
        self
    }

    /// Adds an element with text in it; `open` is its opening tag, `close` its closing one.
    pub(in crate::api) fn element(&mut self, open: &'static str, text: &str, close: &'static str) -> &mut Self {
        self.raw(open).text(text).raw(close)
    }

    /// Adds a word in a rounded frame; `class` gives its colour.
    pub(in crate::api) fn badge(&mut self, class: &str, text: &str) -> &mut Self {
        self.raw("<span class=\"badge ").text(class).element("\">", text, "</span>")
    }

    /// Adds a list of sentences; nothing without one.
    pub(in crate::api) fn list(&mut self, items: &[String]) -> &mut Self {
        if items.is_empty() {
            return self;
        }
        self.raw("<ul>");
        for item in items {
            self.element("<li class=\"small\">", item, "</li>");
        }
        self.raw("</ul>")
    }

    pub(in crate::api) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let mut page = Page::default();
        page.raw("<b title=\"").text("a\"'<b>&\0\u{202e}").raw("\">").text("</b><script>").raw("</b>");
        assert_eq!(
            page.finish(),
            "<b title=\"a&quot;&#39;&lt;b&gt;&amp;\u{fffd}\u{fffd}\">&lt;/b&gt;&lt;script&gt;</b>"
        );
    }

    #[test]
    fn numbers_are_short_and_always_numbers() {
        let mut page = Page::default();
        for value in [0.0, 12.0, 12.345, 0.001, f64::NAN, f64::INFINITY, -3.5] {
            page.number(value).raw(" ");
        }
        assert_eq!(page.finish(), "0 12 12.35 0 0 0 -3.5 ");
    }
}
