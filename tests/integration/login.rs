//! Logging in with a token that reads: who is asked, what the form takes, and what the cookie opens.

use axum::{Router, body::Body};
use http::{Request, Response};
use pinchpoint::{Access, Control, Monitor, MonitorBuilder};
use tower::ServiceExt as _;

use crate::{
    api::service,
    control::CONTROL,
    support::{built, read},
};

/// What browsers accept for a page.
const BROWSER: (&str, &str) =
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8");
/// By `openssl dgst -sha256 -hmac 'se:cret'` of the text in `src/api/login/cookie.rs`.
const COOKIE: &str = "pinchpoint=ratxYqYA5pKo9DmjF6xMRqaRF9oaGKdzGFyibW7dSrs";

fn guarded() -> MonitorBuilder {
    Monitor::builder().performance_access(Access::token("se:cret")).metrics_access(Access::token("for scrapes"))
}

async fn answer(app: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.clone()
        .oneshot(request.body(Body::from(body.to_owned())).expect("a request"))
        .await
        .expect("a router never fails")
}

async fn get(app: &Router, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    answer(app, "GET", path, headers, "").await
}

async fn log_in(app: &Router, form: &str) -> Response<Body> {
    let headers = [("content-type", "application/x-www-form-urlencoded"), BROWSER];
    answer(app, "POST", "/performance/login", &headers, form).await
}

#[track_caller]
fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

#[tokio::test(start_paused = true)]
async fn a_browser_gets_a_form_and_a_program_what_it_got() {
    let app = service(&built(guarded()));
    let pages = [
        ("/performance", "performance/", ""),
        ("/performance?window=5m", "performance/", "?window=5m"),
        ("/performance/", "", ""),
        ("/performance/login", "", ""),
        ("/performance/report?format=html", "", "report?format=html"),
        ("/performance/endpoints/GET%20%2F", "../", "endpoints/GET%20%2F"),
        ("/performance/nothing/like/this", "../../", "nothing/like/this"),
    ];
    for (path, base, next) in pages {
        let response = get(&app, path, &[BROWSER]).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "www-authenticate")),
            (401, "Bearer realm=\"pinchpoint\"")
        );
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&response, "cache-control"), "no-store");
        let policy = header(&response, "content-security-policy").to_owned();
        for part in ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        let (_, page) = read(response).await;
        for part in [
            format!("method=\"post\" action=\"{base}login\""),
            format!("rel=\"stylesheet\" href=\"{base}page.css\""),
            format!("name=\"next\" value=\"{next}\""),
        ] {
            assert!(page.contains(&part), "{path}: {part} in {page}");
        }
        assert!(!page.contains("style=") && !page.contains("<script") && !page.contains("http-equiv"), "{page}");
        let head = answer(&app, "HEAD", path, &[BROWSER], "").await;
        assert_eq!(
            (head.status(), header(&head, "content-type")),
            (401.try_into().expect("a status"), "text/html; charset=utf-8")
        );
        assert_eq!(read(head).await.1, "");
        let others: [&[(&str, &str)]; 4] = [
            &[],
            &[("accept", "*/*")],
            &[("accept", "application/json")],
            &[BROWSER, ("authorization", "Bearer wrong")],
        ];
        for headers in others {
            let response = get(&app, path, headers).await;
            let asked = response.headers().get_all("www-authenticate").iter().count();
            assert_eq!((response.status().as_u16(), asked), (401, 2), "{path} {headers:?}");
            assert_eq!(header(&response, "content-type"), "application/json");
        }
    }
    let metrics = get(&app, "/metrics", &[BROWSER]).await;
    assert!(header(&metrics, "www-authenticate").starts_with("Basic"), "{metrics:?}");
    let style = get(&app, "/performance/page.css", &[BROWSER]).await;
    assert_eq!((style.status().as_u16(), header(&style, "content-type")), (200, "text/css; charset=utf-8"));
    assert!(read(style).await.1.contains(".login"));
}

/// A browser sends no `SameSite=Strict` cookie when it follows a link of another site.
#[tokio::test(start_paused = true)]
async fn a_page_that_another_site_links_to_asks_once_more() {
    let app = service(&built(guarded()));
    for (site, is_again) in [("cross-site", true), ("same-site", true), ("same-origin", false), ("none", false)] {
        let response = get(&app, "/performance", &[BROWSER, ("sec-fetch-site", site)]).await;
        let (status, page) = read(response).await;
        assert_eq!((status, page.contains("<meta http-equiv=\"refresh\" content=\"0\">")), (401, is_again), "{site}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_token_sets_a_cookie_and_leads_on() {
    let app = service(&built(guarded().control(Control::token("for control"))));
    let cases = [
        ("token=se%3Acret&next=", "../performance"),
        ("token=se%3Acret", "../performance"),
        ("next=report%3Fformat%3Dhtml&token=+se%3Acret%0A", "./report?format=html"),
        ("token=se:cret&next=?window%3D5m&other=1", "../performance?window=5m"),
        ("token=se:cret&next=//other.example/", ".///other.example/"),
        ("token=se:cret&next=https://other.example/", "./https://other.example/"),
        ("token=se:cret&next=%5C%5Cother.example", "../performance"),
        ("token=se:cret&next=../admin", "../performance"),
        ("token=se:cret&next=a%0D%0Aset-cookie:x", "../performance"),
    ];
    for (form, location) in cases {
        let response = log_in(&app, form).await;
        assert_eq!((response.status().as_u16(), header(&response, "location")), (303, location), "{form}");
        assert_eq!(header(&response, "set-cookie"), format!("{COOKIE}; HttpOnly; SameSite=Strict"));
        assert!(!format!("{response:?}").contains("cret\""), "{response:?}");
    }
    let controls = log_in(&app, "token=for+control").await;
    let cookie = header(&controls, "set-cookie").split(';').next().expect("a cookie").to_owned();
    assert!(controls.status() == 303 && cookie != COOKIE, "{controls:?}");
    assert_eq!(get(&app, "/performance/health", &[("cookie", &cookie)]).await.status(), 200);
    for secure in [("x-forwarded-proto", "https"), ("forwarded", "for=10.0.0.1;proto=https")] {
        let headers = [("content-type", "application/x-www-form-urlencoded"), secure];
        let response = answer(&app, "POST", "/performance/login", &headers, "token=se:cret").await;
        assert!(header(&response, "set-cookie").ends_with("; Secure"), "{response:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_gets_the_form_again_and_a_wrong_form_an_error() {
    let app = service(&built(guarded()));
    let cases = [
        ("token=wrong&next=report", "This token is wrong.", "report"),
        ("token=for+scrapes", "This token is wrong.", ""),
        ("token=", "Enter the token.", ""),
        ("", "Enter the token.", ""),
        ("password=se:cret&next=\"><script>", "Enter the token.", ""),
        ("token=%FF%00&next=..", "This token is wrong.", ""),
    ];
    for (form, problem, next) in cases {
        let response = log_in(&app, form).await;
        assert_eq!((response.status().as_u16(), header(&response, "set-cookie")), (401, ""), "{form}");
        assert!(header(&response, "www-authenticate").starts_with("Bearer"), "{response:?}");
        let (_, page) = read(response).await;
        let next = format!("name=\"next\" value=\"{next}\"");
        assert!(page.contains(problem) && page.contains(&next) && page.contains("action=\"login\""), "{form}: {page}");
        assert!(!page.contains("wrong&") && !page.contains("<script"), "{page}");
    }
    for wrong in [format!("token={}", "a".repeat(9_000)), "token=a&token=b".to_owned()] {
        assert_eq!(log_in(&app, &wrong).await.status(), 400, "{} bytes", wrong.len());
    }
    let json = [("content-type", "application/json")];
    let response = answer(&app, "POST", "/performance/login", &json, "{\"token\":\"se:cret\"}").await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (400, "application/json"));
    for method in ["PUT", "DELETE", "PATCH"] {
        assert_eq!(answer(&app, method, "/performance/login", &[], "").await.status(), 405, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cookie_reads_and_never_controls() {
    let cookie = [("cookie", COOKIE), BROWSER];
    // Another instance, or the same after a restart.
    for control in [Control::Refused, Control::Open, Control::Loopback, Control::token("for control")] {
        let app = service(&built(guarded().control(control.clone())));
        for path in ["/performance/health", "/performance/report?format=html", "/performance/openapi.json"] {
            for method in ["GET", "HEAD"] {
                assert_eq!(answer(&app, method, path, &cookie, "").await.status(), 200, "{method} {path}");
            }
            assert_eq!(answer(&app, "POST", path, &cookie, "").await.status(), 401, "{path}");
        }
        for (method, path) in CONTROL {
            let status = answer(&app, method, path, &[cookie[0], ("sec-fetch-site", "same-origin")], "").await.status();
            assert!(status == 401 || status == 403, "{control:?} {path}: {status}");
        }
        assert_eq!(get(&app, "/metrics", &cookie).await.status(), 401);
        assert_eq!(get(&app, "/performance/nothing", &cookie).await.status(), 404);
        let form = get(&app, "/performance/login", &cookie).await;
        assert_eq!((form.status().as_u16(), header(&form, "location")), (307, "../performance"));
        let wrong = [("cookie", "pinchpoint=c2U6Y3JldA"), BROWSER];
        assert_eq!(header(&get(&app, "/performance", &wrong).await, "content-type"), "text/html; charset=utf-8");
    }
    let other = service(&built(Monitor::builder().performance_access(Access::token("changed"))));
    assert_eq!(get(&other, "/performance/health", &cookie).await.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn logging_out_ends_the_cookie() {
    let app = service(&built(guarded()));
    let response = answer(&app, "POST", "/performance/logout", &[("cookie", COOKIE)], "").await;
    assert_eq!((response.status().as_u16(), header(&response, "location")), (303, "../performance"));
    assert_eq!(header(&response, "set-cookie"), "pinchpoint=; HttpOnly; SameSite=Strict; Max-Age=0");
}

#[tokio::test(start_paused = true)]
async fn it_works_below_a_path_and_where_reading_takes_no_token() {
    let monitor = built(guarded());
    let nested: Router = Router::new().nest("/internal", monitor.router());
    let (status, page) = read(get(&nested, "/internal/performance/report?format=html", &[BROWSER]).await).await;
    assert!(
        status == 401 && page.contains("value=\"report?format=html\"") && page.contains("action=\"login\""),
        "{page}"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let response = answer(&nested, "POST", "/internal/performance/login", &headers, "token=se:cret&next=report").await;
    assert_eq!((response.status().as_u16(), header(&response, "location")), (303, "./report"));
    assert_eq!(get(&nested, "/internal/performance/health", &[("cookie", COOKIE)]).await.status(), 200);
    for open in [Access::Open, Access::Loopback] {
        let app = service(&built(Monitor::builder().performance_access(open)));
        let response = log_in(&app, "token=se:cret&next=report").await;
        assert_eq!((response.status().as_u16(), header(&response, "location")), (303, "./report"));
        assert_eq!(header(&response, "set-cookie"), "");
    }
    let closed = service(&built(Monitor::builder().performance_access(Access::Loopback)));
    assert_eq!(get(&closed, "/performance", &[BROWSER, ("cookie", COOKIE)]).await.status(), 403);
}

#[tokio::test]
async fn it_works_on_an_address_of_its_own() {
    let monitor = built(guarded());
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let page = |path: &str| format!("http://{address}/performance{path}");
    let form = client.get(page("")).header(BROWSER.0, BROWSER.1).send().await.expect("an answer");
    assert_eq!(form.status(), 401);
    let sent = client.post(page("/login")).header("content-type", "application/x-www-form-urlencoded");
    let response = sent.body("token=se:cret").send().await.expect("an answer");
    assert_eq!(response.status(), 303);
    let cookie = response.headers()["set-cookie"].to_str().expect("ASCII").split(';').next().expect("a cookie");
    let health = client.get(page("/health")).header("cookie", cookie).send().await.expect("an answer");
    assert_eq!(health.status(), 200);
    monitor.shutdown().await;
}
