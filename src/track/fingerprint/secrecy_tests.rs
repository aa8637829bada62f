//! Tests of fingerprints: they never show data, whatever is executed.

use proptest::prelude::*;

use super::{MAX_TEXT, shape};

/// Text with letters that no template has, so that any of them in a summary came from a literal.
fn secret() -> impl Strategy<Value = String> {
    "[zqjv]([zqjv '\"\\\\`$;,()\\[\\]\\-#/*\n.:?@]{0,12}[zqjv])?"
}

/// A literal in one of the databases' forms.
fn literal() -> impl Strategy<Value = String> {
    let doubled = |text: String, quote: &str| text.replace(quote, &quote.repeat(2));
    let escaped = |text: String, quote: &str| text.replace('\\', r"\\").replace(quote, &format!("\\{quote}"));
    prop_oneof![
        secret().prop_map(move |text| format!("'{}'", doubled(text, "'"))),
        secret().prop_map(move |text| format!("'{}'", escaped(text, "'"))),
        secret().prop_map(move |text| format!("\"{}\"", escaped(text, "\""))),
        secret().prop_map(move |text| format!("\"{}\"", doubled(text, "\""))),
        secret().prop_map(move |text| format!("N'{}'", doubled(text, "'"))),
        secret().prop_map(move |text| format!("E'{}'", escaped(text, "'"))),
        secret().prop_map(move |text| format!("b'{}'", escaped(text, "'"))),
        secret().prop_map(|text| format!("$${}$$", text.replace('$', ""))),
        secret().prop_map(|text| format!("$t${}$t$", text.replace('$', ""))),
        secret().prop_map(|text| format!("q'[{}]'", text.replace("]'", ""))),
        secret().prop_map(|text| format!("'''{}'''", text.replace(['\'', '\\'], ""))),
        secret().prop_map(|text| format!("/* {} */ 1", text.replace("*/", ""))),
        secret().prop_map(|text| format!("1 -- {}\n", text.replace('\n', ""))),
        secret().prop_map(|text| format!("1 # {}\n", text.replace('\n', ""))),
        "[zqjv]{1,9}".prop_map(|name| format!(":{name}")),
        "[zqjv]{1,9}".prop_map(|name| format!("@{name}")),
        "[zqjv]{1,9}".prop_map(|name| format!("${name}")),
    ]
}

const TEMPLATES: &[&str] = &[
    "SELECT a, b FROM t WHERE a = {1} AND b = {2} LIMIT 1",
    "SELECT a FROM t WHERE a IN ({1}, {2}) OR b BETWEEN {1} AND {2}",
    "INSERT INTO t (a, b) VALUES ({1}, {2}), ({2}, {1})",
    "INSERT INTO \"t\" (\"a\", \"b\") VALUES ({1}, lower({2}))",
    "UPDATE \"t\" SET \"a\" = {1}, b = {2} WHERE \"c\" LIKE {1}",
    "SELECT CASE WHEN a = {1} THEN {2} ELSE {1} END, f({1}, {2}) FROM \"t\"",
    "SELECT a FROM t WHERE a={1}AND b={2}",
    "SELECT a[{1}], ARRAY[{1}, {2}] FROM t",
    "SELECT {1} || {2}, EXTRACT(YEAR FROM {1}) FROM t",
    "CALL p({1}, {2}); SELECT {1}",
    "SELECT a FROM t WHERE a IS DISTINCT FROM {1} AND b IS NOT DISTINCT FROM {2}",
    "SELECT 1; PREPARE s FROM {1}",
    "UPDATE \"t\" SET \"a\" = replace({1}, {2}, {1}), b = IF({1}, LEFT({2}, 1), CAST({1} AS CHAR))",
    "SELECT a FROM \"t\" WHERE a = ({1}) OR b LIKE ({2}) OR c BETWEEN (SELECT 1 FROM u WHERE a AND b) AND ({1})",
    "SELECT a FROM t WHERE a IN (CAST({1} AS uuid), CAST({2} AS uuid))",
    "SET a = {1}; SELECT b, {2}",
];

/// Statements with bare words that may be data.
const SET_UP: &[&str] = &[
    "PRAGMA key = {1}; SELECT 1",
    "PRAGMA key({1})",
    "SET search_path TO {1}, {2}",
    "SET a = 1, b = {1}, c = ({2})",
    "SET ROLE {1}",
    "SET SESSION AUTHORIZATION {1}",
    "USE {1}",
    "ATTACH {1} AS {2} KEY {1}",
    "CREATE USER a IDENTIFIED BY {1} DEFAULT TABLESPACE {2}",
    "CREATE OR REPLACE USER a PASSWORD = {1}",
    "GRANT CONNECT TO a IDENTIFIED BY {1}",
    "ALTER USER a SET search_path = {1}, {2}",
    "ALTER SESSION SET CURRENT_SCHEMA = {1}",
    "EXEC a.b {1}, @p = {2}",
    "INSERT INTO t (a) FORMAT TSV\n{1}\t{2}\n",
    "BEGIN; COPY t FROM stdin;\n{1}\t{2}\n",
];

/// Returns all that is shown of a statement.
fn shown(sql: &str) -> String {
    let shape = shape(sql);
    format!("{} {}", shape.text, shape.summary)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn no_character_of_a_literal_survives(
        template in prop::sample::select(TEMPLATES),
        one in literal(),
        two in literal(),
    ) {
        let sql = template.replace("{1}", &one).replace("{2}", &two);
        let shown = shown(&sql);
        prop_assert!(!shown.contains(['z', 'q', 'j', 'v']), "{sql:?} gave {shown:?}");
    }

    #[test]
    fn no_part_of_a_text_with_unescaped_quotes_survives(
        text in "[zqjv]{1,9}('[zqjv ]{1,9}){1,5}",
        template in prop::sample::select(vec![
            "UPDATE t SET a = {1}, b = 'x' WHERE c = 1",
            "SELECT a FROM t WHERE a = {1} AND b = 1",
            "INSERT INTO t (a, b) VALUES ({1}, {1})",
        ]),
        quote in prop::sample::select(vec!["'", "\""]),
    ) {
        let sql = template.replace("{1}", &format!("'{text}'")).replace('\'', quote);
        let shown = shown(&sql);
        prop_assert!(!shown.contains(['z', 'q', 'j', 'v']), "{sql:?} gave {shown:?}");
    }

    #[test]
    fn no_part_of_a_mail_address_or_an_id_without_quotes_survives(
        data in "[zqjv]{1,5}([.+-][zqjv0-9]{1,5}){0,2}@[zqjv]{1,5}([.-][zqjv]{1,5}){0,2}|[zqjv0-9]{8}(-[zqjv0-9]{4}){3}-[zqjv]{6}[0-9]{6}",
        template in prop::sample::select(vec![
            "SELECT a FROM t WHERE a = {1}",
            "SELECT a FROM t WHERE a={1} AND b IN ({1}, {1})",
            "DELETE FROM t WHERE a IS DISTINCT FROM {1} OR b LIKE {1}",
        ]),
    ) {
        let sql = template.replace("{1}", &data);
        let shown = shown(&sql);
        prop_assert!(!shown.contains(['z', 'q', 'j', 'v']), "{sql:?} gave {shown:?}");
    }

    #[test]
    fn no_word_after_a_string_survives(
        rest in "[ ]?[zqjv]{1,9}( [zqjv]{1,9}){0,2}|[.(-][zqjv]{1,9}[)]?| = [zqjv]{1,9}",
        template in prop::sample::select(vec![
            "DELETE FROM t WHERE a = {1}",
            "UPDATE t SET a = {1}, b = 'x' WHERE c = 1",
            "SELECT a FROM t WHERE a LIKE 'b' OR a = {1} AND b IN ('x')",
        ]),
    ) {
        let sql = template.replace("{1}", &format!("'x'{rest}"));
        let shown = shown(&sql);
        prop_assert!(!shown.contains(['z', 'q', 'j', 'v']), "{sql:?} gave {shown:?}");
    }

    #[test]
    fn no_word_that_may_be_data_survives(
        template in prop::sample::select(SET_UP),
        one in "[zqjv][zqjv0-9_$]{0,9}",
        two in "\"[zqjv ]{1,9}\"|`[zqjv ]{1,9}`|[zqjv]{1,9}|[zqjv]{1,3}[.][zqjv]{1,3}",
    ) {
        let sql = template.replace("{1}", &one).replace("{2}", &two);
        let shown = shown(&sql);
        prop_assert!(!shown.contains(['z', 'q', 'j', 'v']), "{sql:?} gave {shown:?}");
    }

    #[test]
    fn no_digit_of_a_number_survives(
        template in prop::sample::select(TEMPLATES),
        one in "-?(0[xX][0-9A-F]{1,8}|0[bo][01]{1,8}|[0-9]{1,9}(_[0-9]{3})?(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?|\\.[0-9]{1,4})",
    ) {
        let shown = shown(&template.replace("{1}", &one).replace("{2}", &one));
        prop_assert!(!shown.contains(|ch: char| ch.is_ascii_digit()), "{one:?} gave {shown:?}");
        prop_assert!(shown.contains('?') || shown.contains("(...)"), "{one:?} gave {shown:?}");
    }

    #[test]
    fn any_text_has_a_bounded_fingerprint(sql in "\\PC{0,400}") {
        prop_assert!(shape(&sql).text.chars().count() <= MAX_TEXT);
    }

    #[test]
    fn any_mix_of_tokens_has_a_bounded_fingerprint_on_one_line(
        sql in "(SELECT|FROM|VALUES|IN|WITH|BETWEEN|AND|COPY|a|\"b\"|`c`|'d'|[0-9.]{1,4}|[-'\"`$\\\\/*#@:?()\\[\\],;=<>|&~^%{}! \n\r\t]){0,60}",
    ) {
        let shape = shape(&sql);
        prop_assert!(shape.text.chars().count() <= MAX_TEXT);
        prop_assert!(!shape.text.contains(char::is_control));
        prop_assert!(!shape.text.is_empty());
        prop_assert!(shape.summary.chars().count() <= 255 && !shape.summary.contains(char::is_control));
        prop_assert!(!shape.summary.is_empty() && shape.summary.trim() == &*shape.summary, "{:?}", shape.summary);
    }

    #[test]
    fn a_fingerprint_is_its_own_fingerprint(template in prop::sample::select(TEMPLATES)) {
        let once = shape(&template.replace("{1}", "1").replace("{2}", "2")).text;
        let again = shape(&once.replace("(...)", "(1)").replace("[...]", "[1, 2]")).text;
        prop_assert_eq!(once, again);
    }
}
