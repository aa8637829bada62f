//! `/performance/report?format=html` in a browser; `live` reads that of the sick demo.

use super::{
    browser::Browser,
    service::{ROUTE, Service, TASK},
    turn,
};
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
