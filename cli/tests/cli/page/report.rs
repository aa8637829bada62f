//! `/performance/report?format=html` in a browser.

use std::time::Duration;

use super::{
    browser::Browser,
    service::{ROUTE, Service, TASK},
    turn,
};
use crate::a_sick_shop::demo::{Demo, impatient_rules};

const REPORT: &str = "/performance/report?format=html";
/// Enough for findings of several kinds, with evidence of several kinds.
const FINDINGS: usize = 3;
const LOOK: Duration = Duration::from_millis(500);

#[tokio::test]
async fn the_report_of_a_sick_shop_can_be_read_by_all() {
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    let demo = Demo::start(impatient_rules(&[]), &["--traffic"]);
    while demo.bottlenecks().await.len() < FINDINGS {
        tokio::time::sleep(LOOK).await;
    }
    browser.goto(&format!("{}{REPORT}", demo.base)).await;
    open_all(&browser).await;
    browser.audit().await;
    browser.was_quiet(&demo.base).await;
}

/// Opens what is folded.
async fn open_all(browser: &Browser) {
    browser.run("document.querySelectorAll('details').forEach(it => it.open = true)").await;
}

#[tokio::test]
async fn hostile_names_stay_text_in_the_report() {
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    let service = Service::hostile(|builder| builder).await;
    browser.goto(&format!("{}{REPORT}", service.base)).await;
    open_all(&browser).await;
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
