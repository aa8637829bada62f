//! The packages as they are published: they hold the files that they need, and a service builds on them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Every published crate, with the directory that it comes from.
const PUBLISHED: [(&str, &str); 4] = [
    ("pinchpoint-alloc", "alloc"),
    ("pinchpoint", "."),
    ("pinchpoint-cli", "cli"),
    ("pinchpoint-loadtest", "loadtests"),
];

/// The README's quick start, which also prints the embedded rules, to show that they are in the package.
const SERVICE: &str = r#"
use axum::{Router, routing::get};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let monitor = pinchpoint::Monitor::builder().install()?;
    let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(monitor.layer()).merge(monitor.router());
    drop(app);
    println!("{}", pinchpoint::RuleSet::embedded().ids().collect::<Vec<_>>().join(" "));
    monitor.shutdown().await;
    Ok(())
}
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Packages every published crate and unpacks it again; returns where each is.
fn unpacked(into: &Path) -> BTreeMap<&'static str, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["package", "--quiet", "--no-verify", "--allow-dirty", "--offline", "--target-dir"]);
    cargo.arg(into).args(PUBLISHED.iter().flat_map(|(name, _)| ["--package", name]));
    run(&mut cargo);
    let unpack = |(name, _)| {
        let whole = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        // Without the archive's modification times, which are of 2006: cargo would take what it compiled before for
        // current.
        run(Command::new("tar").arg("-xmzf").arg(into.join(format!("package/{whole}.crate"))).arg("-C").arg(into));
        (name, into.join(whole))
    };
    PUBLISHED.into_iter().map(unpack).collect()
}

#[test]
fn every_package_has_its_licences_and_a_readme_and_no_tests() {
    let directory = tempfile::tempdir().expect("room for it");
    for (name, package) in unpacked(directory.path()) {
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let text =
                fs::read_to_string(package.join(licence)).unwrap_or_else(|error| panic!("{name}: {licence}: {error}"));
            assert_eq!(text, fs::read_to_string(root().join(licence)).expect("readable"), "{name}: {licence} differs");
        }
        let readme = fs::read_to_string(package.join("README.md")).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(readme.lines().count() > 10, "{name}: its README is nearly empty");
        for unwanted in ["tests", "src/snapshots", "target"] {
            assert!(!package.join(unwanted).exists(), "{name} has {unwanted}");
        }
    }
}

/// Builds the packaged crates in a workspace of their own, with a service that depends on the library as its users do.
/// It uses our lock file, profiles and target directory, so that dependencies are not compiled again.
#[test]
fn a_service_and_both_commands_build_on_the_packages() {
    let directory = tempfile::tempdir().expect("room for it");
    let packages = unpacked(directory.path());
    let profiles = fs::read_to_string(root().join("Cargo.toml")).expect("readable");
    let profiles = profiles.split_once("\n[profile.dev]").and_then(|(_, rest)| rest.split_once("\n[package]"));
    let profiles = profiles.expect("the profiles stand before the package").0;
    let paths = |form: &dyn Fn(&str, &Path) -> String| -> String {
        packages.iter().map(|(name, path)| form(name, path)).collect()
    };
    let manifest = format!(
        r#"
[package]
name = "service"
edition = "2024"

[dependencies]
axum = {{ version = "0.8", default-features = false }}
pinchpoint = {{ version = "{version}", features = ["alloc", "archive", "sqlx"] }}
tokio = {{ version = "1", features = ["macros", "rt"] }}

[workspace]
members = [".", {members}]
resolver = "3"

[patch.crates-io]
{patches}
[profile.dev]{profiles}
"#,
        version = env!("CARGO_PKG_VERSION"),
        members = paths(&|_, path| format!("{path:?}, ")),
        patches = paths(&|name, path| format!("{name} = {{ path = {path:?} }}\n")),
    );
    let write = |path: &str, text: &str| fs::write(directory.path().join(path), text).expect("room for it");
    fs::create_dir(directory.path().join("src")).expect("room for it");
    write("Cargo.toml", &manifest);
    write("src/main.rs", SERVICE);
    fs::copy(root().join("Cargo.lock"), directory.path().join("Cargo.lock")).expect("room for it");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(directory.path()).args(arguments).arg("--offline").arg("--target-dir").arg(target);
        run(&mut cargo)
    };
    // Checked and not built: their binaries would replace ours in the target directory.
    cargo(&["check", "--workspace"]);
    let said = String::from_utf8(cargo(&["run", "--quiet", "--package", "service"]).stdout).expect("UTF-8");
    let embedded: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(embedded, pinchpoint::RuleSet::embedded().ids().collect::<Vec<_>>());
}
