//! The form that asks a browser for a token.

use axum::{Router, response::Html, routing::get};
use fantoccini::key::Key;
use pinchpoint::{Control, Monitor};

use super::{browser::Browser, service, turn};

const REPORT: &str = "/performance/report?format=html";
/// Not the one that asks again by itself.
const IS_FORM: &str =
    "return document.querySelector('#token') !== null && document.querySelector('[http-equiv]') === null";
const IS_REPORT: &str = "return document.title === 'Performance report'";

/// Serves a monitor that reads with a token, below a path.
async fn guarded(path: &str) -> (Monitor, String) {
    let monitor = service::guarded(Monitor::builder()).control(Control::token("for control")).build().unwrap();
    let app: Router = if path.is_empty() { monitor.router() } else { Router::new().nest(path, monitor.router()) };
    let base = service::serve(app).await;
    (monitor, base)
}

impl Browser {
    /// Types a token where the cursor is, which is in the form, and sends it.
    async fn log_in(&self, token: &str) {
        self.client
            .active_element()
            .await
            .unwrap()
            .send_keys(&format!("{token}{}", char::from(Key::Enter)))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_form_is_readable_and_leads_on_by_keyboard_alone() {
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    let (_monitor, base) = guarded("").await;
    browser.goto(&format!("{base}{REPORT}")).await;
    browser.audit().await;
    browser.log_in("wrong").await;
    browser.until("return document.querySelector('[role=alert]')?.innerText === 'This token is wrong.'").await;
    browser.audit().await;
    // The form's own answer, and nothing else: 401 is a line of the console.
    let logged = browser.logged().await;
    assert!(logged.iter().all(|line| line.contains("401 (Unauthorized)")), "{logged:?}");
    browser.log_in("se:cret").await;
    browser.until(IS_REPORT).await;
    assert_eq!(browser.client.current_url().await.unwrap().as_str(), format!("{base}{REPORT}"));
    browser.was_quiet(&base).await;
    assert_eq!(browser.run("return document.cookie").await, "", "no script reads the cookie");
    // With it everything reads, until the browser logs out.
    browser.goto(&format!("{base}/performance/health")).await;
    assert!(browser.text().await.contains("\"status\""));
    browser.goto(&format!("{base}{REPORT}")).await;
    browser.client.delete_all_cookies().await.unwrap();
    browser.goto(&format!("{base}{REPORT}")).await;
    assert_eq!(browser.run(IS_FORM).await, true);
}

#[tokio::test]
async fn a_link_of_another_site_works_for_who_has_logged_in() {
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    let (_monitor, base) = guarded("/internal").await;
    let report = format!("{base}/internal{REPORT}");
    let link = Html(format!("<title>Chat</title><a href=\"{report}\">look at this</a>"));
    let chat = service::serve(Router::new().route("/", get(|| async { link }))).await;
    // Another site than that of the monitor: a cookie knows no ports.
    let chat = chat.replace("127.0.0.1", "localhost");
    for is_logged_in in [false, true] {
        browser.goto(&chat).await;
        browser.find("a").await.click().await.unwrap();
        if !is_logged_in {
            browser.until(IS_FORM).await;
            browser.log_in("for control").await;
        }
        browser.until(IS_REPORT).await;
        assert_eq!(browser.client.current_url().await.unwrap().as_str(), report);
    }
    let cookies = browser.client.get_all_cookies().await.unwrap();
    assert_eq!(cookies[0].path(), Some("/internal/performance"), "{cookies:?}");
}
