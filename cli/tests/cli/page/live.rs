//! The live page, `/performance`, in a browser.

use std::net::TcpListener;

use fantoccini::key::Key;
use pinchpoint::Control;
use serde_json::json;

use super::{
    browser::Browser,
    report::REPORT,
    service::{ROUTE, Service, TASK},
    turn,
};
use crate::a_sick_shop::demo::{Demo, impatient_rules};

const IS_LIVE: &str = "return document.querySelector('#live')?.textContent === 'Live'";
/// The moment as of which the page is; nothing before the first evaluation.
const AS_OF: &str = "(document.querySelector('footer time')?.dateTime ?? '')";
const OPENED: &str = "document.querySelector('details[data-finding][open] .body')";
/// The views that every service has.
const VIEWS: [&str; 6] = ["", "/view/endpoints", "/view/queries", "/view/tasks", "/view/rules", "/view/monitor"];

/// Presses of Tab after which what was not reached counts as out of reach: several rounds, since a finding may come or move meanwhile.
const PRESSES: usize = 400;

/// Tabs through the page, and returns what can be used with a mouse and was not reached.
async fn not_reached(browser: &Browser) -> serde_json::Value {
    browser
        .run(
            "const places = 'a[href], button, input:not([type=hidden]), summary, select, [tabindex=\"0\"]';
             window.missing = new Set([...document.querySelectorAll(places)]);
             document.addEventListener('focusin', event => missing.delete(event.target));
             document.activeElement.blur();",
        )
        .await;
    let missing = "[...missing].filter(it => it.isConnected && it.checkVisibility({ visibilityProperty: true }))";
    for _ in 0..PRESSES {
        if browser.run(&format!("return {missing}.length")).await == 0 {
            break;
        }
        for kind in ["keyDown", "keyUp"] {
            let tab = json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
            browser.devtools("Input.dispatchKeyEvent", tab).await;
        }
    }
    browser.run(&format!("return {missing}.map(it => it.outerHTML.slice(0, 200))")).await
}

#[tokio::test]
async fn what_is_wrong_appears_opens_and_survives_a_restart() {
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    // Known beforehand, since the shop comes back there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let start = || Demo::start_on(&address, impatient_rules(&[]), &["--traffic"]);
    let demo = start();
    let page = format!("{}/performance", demo.base);
    browser.goto(&page).await;
    browser.run("window.isTheSame = true").await;
    browser.until(IS_LIVE).await;
    browser.until("return document.querySelectorAll('details[data-finding]').length >= 2").await;
    assert_eq!(browser.run("return window.isTheSame").await, true, "no reload");

    // A finding opens to its evidence, by keyboard too, stays open and is in the address.
    browser.run("document.querySelector('details[data-finding] > summary').focus()").await;
    browser.client.active_element().await.unwrap().send_keys(&char::from(Key::Enter).to_string()).await.unwrap();
    browser
        .until(&format!("return {OPENED}?.checkVisibility() === true && location.search.includes('finding=')"))
        .await;
    let evidence = browser.run(&format!("return {OPENED}.innerText")).await;
    for part in ["Recommendations", "Rule ", ".yaml:"] {
        assert!(evidence.as_str().unwrap().contains(part), "{part}: {evidence}");
    }
    // So does what is looked at in a chart.
    browser.run("document.querySelector('figure[data-x]').focus()").await;
    browser.client.active_element().await.unwrap().send_keys(&char::from(Key::End).to_string()).await.unwrap();
    let looked_at = "document.querySelector('figure[data-at] .readout')?.innerText.includes('p95') === true";
    browser.until(&format!("return {looked_at}")).await;
    let before = browser.run(&format!("return {AS_OF}")).await;
    browser.until(&format!("return {AS_OF} > {before}")).await;
    assert_eq!(browser.run(&format!("return {OPENED} !== null")).await, true, "an evaluation later");
    assert_eq!(browser.run(&format!("return {looked_at}")).await, true, "an evaluation later");
    let shared = browser.client.current_url().await.unwrap();
    browser.goto(shared.as_str()).await;
    assert_eq!(browser.run(&format!("return {OPENED} !== null")).await, true, "for a colleague");
    browser.audit().await;
    assert_eq!(not_reached(&browser).await, json!([]));
    browser.was_quiet(&demo.base).await;

    // The report of the same findings.
    browser.goto(&format!("{}{REPORT}", demo.base)).await;
    browser.run("document.querySelectorAll('details').forEach(it => it.open = true)").await;
    browser.audit().await;
    browser.was_quiet(&demo.base).await;

    // What is lost is said, and comes back by itself.
    browser.goto(&page).await;
    browser.until(IS_LIVE).await;
    browser.run("window.isTheSame = true").await;
    drop(demo);
    browser.until("return document.querySelector('#live').textContent.startsWith('No connection')").await;
    assert_eq!(browser.run("return document.body.classList.contains('is-stale')").await, true);
    let demo = start();
    browser.until(IS_LIVE).await;
    let before = browser.run(&format!("return {AS_OF}")).await;
    browser.until(&format!("return {AS_OF} > {before} && !document.body.classList.contains('is-stale')")).await;
    assert_eq!(browser.run("return window.isTheSame").await, true, "no reload");
    // Only that nobody answered.
    let logged = browser.logged().await;
    assert!(logged.iter().all(|line| line.contains("net::ERR_")), "{logged:?}");
    browser.stayed_on(&demo.base).await;
}

#[tokio::test]
async fn hostile_names_stay_text_and_every_view_can_be_read_by_all() {
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    let service = Service::hostile(|builder| builder).await;
    let performance = format!("{}/performance", service.base);
    for view in VIEWS {
        browser.goto(&format!("{performance}{view}")).await;
        browser.until(IS_LIVE).await;
        browser.run("document.querySelectorAll('details').forEach(it => it.open = true)").await;
        let made = browser.run("return document.querySelectorAll('body script, img, [onerror]').length").await;
        assert_eq!(made, 0, "{view}: elements that no page has");
        let text = browser.text().await;
        let shown = match view {
            "" | "/view/endpoints" => Some(ROUTE),
            "/view/queries" => Some("<script>alert(3)</script>"),
            "/view/tasks" => Some(TASK),
            _ => None,
        };
        assert!(shown.is_none_or(|name| text.contains(name)) && !text.contains('\u{202e}'), "{view}: {text}");
        browser.audit().await;
        browser.was_quiet(&service.base).await;
    }

    // A table sorts, both ways, and the order is in the address.
    browser.goto(&format!("{performance}/view/endpoints")).await;
    browser.until(IS_LIVE).await;
    let order = "[...document.querySelectorAll('tbody tr')].map(row => row.cells[0].innerText.trim()).join('|')";
    let mut orders = Vec::new();
    for sort in ["sort=name", "sort=-name"] {
        browser.run("document.querySelector('thead th a').click()").await;
        browser.until(&format!("return location.search.includes('{sort}')")).await;
        orders.push(browser.run(&format!("return {order}")).await);
    }
    let reversed: Vec<_> = orders[0].as_str().unwrap().split('|').rev().collect();
    assert!(reversed.len() >= 2 && orders[1] == reversed.join("|"), "{orders:?}");
    // So it is after a reload, without the script too.
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    browser.goto(browser.client.current_url().await.unwrap().as_str()).await;
    assert_eq!(browser.run(&format!("return {order}")).await, orders[1]);
    browser.goto(&performance).await;
    let live = "document.querySelector('#live').innerText";
    assert_eq!(browser.run(&format!("return {live}")).await, "Reload to see how it goes on", "the script is off");
    browser.find("details[data-finding] > summary").await.click().await.unwrap();
    let evidence = browser.run(&format!("return {OPENED}.innerText")).await;
    assert!(evidence.as_str().is_some_and(|text| text.contains("Rule ")), "{evidence}");
    browser.find("nav a[href$='view/queries']").await.click().await.unwrap();
    browser.until("return document.querySelector('h1').innerText === 'Queries'").await;
    browser.was_quiet(&service.base).await;
}

#[tokio::test]
async fn control_asks_for_a_token_and_before_it_clears() {
    const NOTE: &str = "document.querySelector('#note').textContent";
    let _turn = turn().await;
    let Some(browser) = Browser::start().await else { return };
    let service = Service::hostile(|builder| builder.control(Control::token("for control"))).await;
    // Through another view, from which addresses are others.
    browser.goto(&format!("{}/performance", service.base)).await;
    browser.until(IS_LIVE).await;
    browser.find("nav a[href$='view/monitor']").await.click().await.unwrap();
    browser.until("return document.activeElement.innerText === 'This monitor'").await;
    let clear = "[...document.querySelectorAll('button')].find(it => it.textContent === 'Clear the data')";
    let ask = async |question: &str| {
        let is_asked =
            format!("return document.querySelector('dialog[open]')?.innerText.includes('{question}') === true");
        browser.until(&is_asked).await;
        browser.audit().await;
    };
    let press = async |label: &str| {
        let button =
            format!("[...document.querySelectorAll('dialog button')].find(it => it.textContent === '{label}')");
        browser.run(&format!("{button}.click()")).await;
    };
    // Thinking better of it changes nothing.
    browser.run(&format!("{clear}.click()")).await;
    ask("This cannot be undone").await;
    press("Cancel").await;
    browser.until("return document.querySelector('dialog') === null").await;
    for (token, answer) in [("wrong", "the control endpoints are closed"), ("for control", "start over")] {
        browser.run(&format!("{clear}.click()")).await;
        ask("This cannot be undone").await;
        press("Clear the data").await;
        ask("control token").await;
        browser.find("dialog input[type=password]").await.send_keys(token).await.unwrap();
        press("Go on").await;
        browser.until(&format!("return {NOTE}.includes('{answer}')")).await;
    }
    let kept = browser.run("return [localStorage.length, sessionStorage.length, document.cookie]").await;
    assert_eq!(kept, json!([0, 0, ""]), "the token is in memory only");
    browser.goto(&format!("{}/performance/metrics", service.base)).await;
    let metrics = browser.text().await;
    assert!(metrics.contains("\"total_requests\":0"), "{metrics}");
    let logged = browser.logged().await;
    assert!(logged.iter().all(|line| line.contains("403 (Forbidden)")), "{logged:?}");
    browser.stayed_on(&service.base).await;
}
