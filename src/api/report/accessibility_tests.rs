//! What WCAG asks of the page, as far as it can be computed: contrast, the order of headings, and names of what scrolls.

use std::collections::{BTreeMap, BTreeSet};

use super::{html, tests::report};
use crate::markup::STYLE;

/// The colours of a palette by name.
type Palette = BTreeMap<&'static str, [f64; 3]>;

/// Returns the palettes of the style: light and dark.
fn palettes() -> Vec<Palette> {
    let each = STYLE.split(":root{").skip(1).filter_map(|rest| rest.split_once('}')).map(|(palette, _)| palette);
    each.filter(|palette| palette.contains("--bg"))
        .map(|palette| {
            let names = palette.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(':'));
            names.filter_map(|(name, colour)| Some((name, channels(colour.strip_prefix('#')?)))).collect()
        })
        .collect()
}

fn channels(hex: &str) -> [f64; 3] {
    let hex: String = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits")) / 255.0)
}

/// The contrast ratio of WCAG 2, from 1 to 21: <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let [r, g, b] = colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn colours_have_contrast_in_light_and_in_dark() {
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    let palettes = palettes();
    assert_eq!(palettes.len(), 2);
    // AA: 4.5 for text, 3 for what a plot is read by.
    let text = ["fg", "muted", "critical", "high", "medium", "low", "good", "accent"].map(|name| (name, 4.5));
    let marks = ["database", "tasks", "busy", "waiting"].map(|name| (name, 3.0));
    let mut weak = Vec::new();
    for (palette, which) in palettes.iter().zip(["light", "dark"]) {
        for (name, least) in text.into_iter().chain(marks) {
            for ground in ["card", "bg"] {
                let ratio = contrast(palette[name], palette[ground]);
                if ratio < least {
                    weak.push(format!("{which}: {name} on {ground} {ratio:.2}"));
                }
            }
        }
    }
    assert_eq!(weak, [] as [String; 0]);
}

#[test]
fn headings_go_down_one_level_at_a_time() {
    let page = html::page(&report("x"));
    let levels: Vec<u32> =
        page.match_indices("<h").filter_map(|(at, _)| page[at + 2..].chars().next()?.to_digit(10)).collect();
    assert!(levels.len() > 10 && levels[0] == 1, "{levels:?}");
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
}

#[test]
fn what_scrolls_is_reached_by_keyboard_and_has_a_name_of_its_own() {
    let page = html::page(&report("x"));
    let regions: Vec<&str> =
        page.split("class=\"scroll\"").skip(1).map(|rest| &rest[..rest.find('>').unwrap_or(0)]).collect();
    assert!(regions.len() > 5);
    let mut names = BTreeSet::new();
    for region in regions {
        assert!(region.contains("role=\"region\"") && region.contains("tabindex=\"0\""), "{region}");
        let name = region.split_once("aria-label=\"").map(|(_, rest)| rest).expect("a name");
        assert!(!name.starts_with('"') && names.insert(name), "{name}");
    }
}

#[test]
fn folded_parts_are_printed_and_in_light_colours() {
    let print = STYLE.split("@media print").skip(1).collect::<String>();
    assert!(print.contains("details::details-content{content-visibility:visible"), "browsers hide what is folded");
    assert!(STYLE.contains("@media screen and (prefers-color-scheme:dark)"), "paper is white");
}
