//! `/performance/report?format=html` and the page of a load test, in a browser; `live` reads the report of the sick demo.

use std::{path::Path, process::Command};

use super::{
    browser::Browser,
    service::{ROUTE, Service, TASK},
    turn,
};
use crate::{demo::Demo, missing};

pub(super) const REPORT: &str = "/performance/report?format=html";

#[tokio::test]
async fn hostile_names_stay_text_in_the_report() {
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    let service = Service::hostile(|builder| builder).await;
    browser.goto(&format!("{}{REPORT}", service.base)).await;
    browser.run("document.querySelectorAll('details').forEach(it => it.open = true)").await;
    let text = browser.text().await;
    for name in [ROUTE, TASK, "<script>alert(3)</script>"] {
        assert!(text.contains(name), "{name} in {text}");
    }
    // Nothing turns around the rest of a line.
    assert!(text.contains("GET /turned") && !text.contains('\u{202e}'), "{text}");
    let made = browser.run("return document.querySelectorAll('script, img, b b, [onerror]').length").await;
    assert_eq!(made, 0, "elements that no page has");
    browser.audit().await;
    browser.was_quiet(&service.base).await;
}

/// The load tester is compiled beside the demo, by the same command that compiles this test with all others.
#[tokio::test]
async fn the_page_of_a_load_test_can_be_read_by_all() {
    let loadtest = Path::new(env!("CARGO_BIN_EXE_pinchpoint")).with_file_name("loadtest");
    if !loadtest.is_file() {
        return missing("loadtest is not compiled; cargo build --workspace compiles it");
    }
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    let demo = Demo::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("run.html");
    let run = Command::new(loadtest)
        .args([
            "--base-url",
            &demo.base,
            "-e",
            "/api/categories",
            "-e",
            "/api/products?page=1",
            "-u",
            "2",
            "-t",
            "2s",
            "-o",
        ])
        .arg(&page)
        .output()
        .unwrap();
    assert!(page.is_file(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    browser.goto(&format!("file://{}", page.display())).await;
    browser.run("document.querySelectorAll('details').forEach(it => it.open = true)").await;
    browser.audit().await;
    browser.was_quiet("file://").await;
}
