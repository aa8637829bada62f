//! The dependencies of the published crates: the Rust version that they need, their licences, and which crates a
//! service compiles in two versions.
//!
//! `cargo tree` lists what is compiled for each user, `cargo metadata` returns each crate's manifest. A developer's
//! machine may be offline and has the crates of its own platform only; CI checks the other platforms too.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

/// The platforms that deny.toml names.
const PLATFORMS: [&str; 3] = ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];
/// The Rust version that redb, and so the feature `archive`, needs.
const RUST_OF_ARCHIVE: &str = "1.90";
/// The feature that it is, and the one that needs it.
const WITH_ARCHIVE: [&str; 2] = ["archive", "replay"];
/// The features that bring reqwest.
const REQWEST: [&str; 2] = ["deliver", "reqwest-middleware"];
/// Returns the crates that the library compiles in two versions: hashbrown, since metrics-util and indexmap differ in theirs, on
/// Windows syn, for the macros of the crate `windows`, which sysinfo brings, and with reqwest base64, in which it differs from
/// metrics-exporter-prometheus.
fn compiled_twice(user: &User<'_>, platform: &str) -> Vec<&'static str> {
    let known = [
        ("base64", user.features.iter().any(|feature| REQWEST.contains(&feature.as_str()))),
        ("hashbrown", true),
        ("syn", platform.contains("windows")),
    ];
    known.into_iter().filter(|(_, is_compiled)| *is_compiled).map(|(name, _)| name).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).arg("--locked");
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn platforms() -> Vec<String> {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).expect("it says its host").to_owned();
    let others = std::env::var_os("CI").into_iter().flat_map(|_| PLATFORMS.map(str::to_owned));
    others.filter(|other| *other != host).chain([host.clone()]).collect()
}

/// The packages of the dependency graph on one platform, by name and version.
struct Packages(BTreeMap<(String, String), Value>);

impl Packages {
    fn on(platform: &str) -> Self {
        let text = cargo(&["metadata", "--format-version", "1", "--filter-platform", platform]);
        let metadata: Value = serde_json::from_str(&text).expect("JSON");
        let packages = metadata["packages"].as_array().expect("a list").iter().map(|package| {
            let text = |key: &str| package[key].as_str().expect("a text").to_owned();
            ((text("name"), text("version")), package.clone())
        });
        Self(packages.collect())
    }

    fn named(&self, name: &str) -> &Value {
        let found = self.0.iter().find(|((its_name, _), _)| its_name == name);
        found.unwrap_or_else(|| panic!("no package {name}")).1
    }

    /// Returns what is compiled for a user of a package: the package itself, dependencies and build dependencies.
    fn compiled_for(&self, user: &User<'_>, platform: &str) -> Vec<&Value> {
        let tree = cargo(&[
            "tree",
            "--package",
            user.package,
            "--edges",
            "normal,build",
            "--target",
            platform,
            "--prefix",
            "none",
            "--no-default-features",
            "--features",
            &user.features.join(","),
        ]);
        let names: BTreeSet<(String, String)> = tree.lines().filter_map(name_and_version).collect();
        names.iter().map(|name| self.0.get(name).unwrap_or_else(|| panic!("{name:?} is in no metadata"))).collect()
    }
}

/// Reads a line such as `axum v0.8.9 (*)`.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
}

/// A user of a published crate, with the features that this user compiles.
struct User<'a> {
    package: &'a str,
    features: Vec<String>,
    /// The Rust version that the crate's manifest promises.
    rust: String,
}

fn users(packages: &Packages) -> Vec<User<'static>> {
    let published = ["pinchpoint-alloc", "pinchpoint", "pinchpoint-cli", "pinchpoint-loadtest"];
    let mut users = Vec::new();
    for package in published {
        let manifest = packages.named(package);
        let rust = manifest["rust_version"].as_str().expect("it promises one").to_owned();
        let all: Vec<String> = manifest["features"].as_object().expect("an object").keys().cloned().collect();
        let features: Vec<String> =
            all.iter().filter(|feature| !WITH_ARCHIVE.contains(&feature.as_str())).cloned().collect();
        let brings_reqwest = |feature: &String| REQWEST.contains(&feature.as_str());
        if features.iter().any(brings_reqwest) {
            let features = features.iter().filter(|feature| !brings_reqwest(feature)).cloned().collect();
            users.push(User { package, features, rust: rust.clone() });
        }
        if features != all {
            users.push(User { package, features: all, rust: RUST_OF_ARCHIVE.to_owned() });
        }
        users.push(User { package, features, rust });
    }
    users
}

/// Returns a version's numbers for comparison: 1.88 is 1.88.0.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().expect("a number"));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

fn label(package: &Value) -> String {
    format!("{} {}", package["name"].as_str().expect("a name"), package["version"].as_str().expect("a version"))
}

#[test]
fn no_dependency_needs_a_newer_rust_than_is_promised() {
    let mut newer = BTreeSet::new();
    for platform in platforms() {
        let packages = Packages::on(&platform);
        for user in users(&packages) {
            for package in packages.compiled_for(&user, &platform) {
                let Some(needed) = package["rust_version"].as_str() else { continue };
                if numbers(needed) > numbers(&user.rust) {
                    newer.insert(format!("{} promises {}: {} needs {needed}", user.package, user.rust, label(package)));
                }
            }
        }
    }
    assert_eq!(newer, BTreeSet::new());
}

#[test]
fn the_readme_promises_what_the_manifest_does() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("readable");
    let promise =
        format!("Rust {} or newer ({RUST_OF_ARCHIVE} with the feature `archive`)", env!("CARGO_PKG_RUST_VERSION"));
    assert!(text.contains(&promise), "not in README.md: {promise}");
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml")).expect("readable");
    let list = text.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once(']')).expect("a list").0;
    let allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let mut refused = BTreeSet::new();
    for platform in platforms() {
        let packages = Packages::on(&platform);
        for user in users(&packages) {
            for package in packages.compiled_for(&user, &platform) {
                let licence = package["license"].as_str().unwrap_or("none");
                if !is_allowed(licence, &allowed) {
                    refused.insert(format!("{}: {licence}", label(package)));
                }
            }
        }
    }
    assert_eq!(refused, BTreeSet::new());
}

#[test]
fn the_library_compiles_only_known_crates_in_two_versions() {
    for platform in platforms() {
        let packages = Packages::on(&platform);
        for user in users(&packages).iter().filter(|user| user.package == "pinchpoint") {
            let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for package in packages.compiled_for(user, &platform) {
                let text = |key: &str| package[key].as_str().expect("a text");
                versions.entry(text("name")).or_default().push(text("version"));
            }
            let twice: Vec<_> = versions.into_iter().filter(|(_, versions)| versions.len() > 1).collect();
            let names: Vec<_> = twice.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, compiled_twice(user, &platform), "on {platform}: {twice:?}");
        }
    }
}

/// Returns whether an SPDX expression can be met with the licences that are allowed.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any_of(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// `OR` binds less than `AND`.
fn any_of(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut met = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let met = any_of(words, allowed);
        let is_closed = words.next_if_eq(&")").is_some();
        return met && is_closed;
    }
    let Some(mut name) = words.next().map(str::to_owned) else { return false };
    while words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next().unwrap_or_default());
    }
    allowed.contains(&name.as_str())
}

#[test]
fn an_expression_is_allowed_where_one_of_its_choices_is() {
    #[track_caller]
    fn check(expression: &str, expected: bool) {
        assert_eq!(
            is_allowed(expression, &["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"]),
            expected,
            "{expression}"
        );
    }
    check("MIT", true);
    check("GPL-3.0", false);
    check("Apache-2.0 OR MIT", true);
    check("Apache-2.0/MIT", true);
    check("Apache-2.0 AND MIT", false);
    check("Zlib AND MIT", true);
    check("(GPL-3.0 OR MIT) AND Zlib", true);
    check("(GPL-3.0 OR MIT) AND ISC", false);
    check("(GPL-3.0 OR ISC) OR MIT", true);
    check("GPL-3.0 OR MIT AND ISC", false);
    check("MIT OR GPL-3.0 AND ISC", true);
    check("Apache-2.0 WITH LLVM-exception", true);
    check("Apache-2.0", false);
    check("none", false);
    check("(MIT", false);
    check("MIT)", false);
    check("", false);
}
