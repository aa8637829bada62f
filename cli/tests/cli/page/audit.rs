//! What none of the pages may do.

use serde_json::{Value, json};

use super::{browser::Browser, npm};

/// A phone, a window beside another one, and a screen.
const WIDTHS: [u32; 3] = [360, 800, 1400];
const SCHEMES: [&str; 2] = ["light", "dark"];

impl Browser {
    /// Checks the page that is open, as it looks on screens of several widths, in light and dark: nothing is unreadable or out of
    /// reach for somebody, and nothing is wider than the screen.
    pub(super) async fn audit(&self) {
        let axe = npm::file("axe-core/axe.min.js").map(|file| std::fs::read_to_string(file).unwrap());
        if let Some(axe) = &axe {
            self.run(axe).await;
        }
        for width in WIDTHS {
            self.be_wide(width).await;
            let [page, window] = ["document.documentElement.scrollWidth", "window.innerWidth"];
            let fits = self.run(&format!("return [{page}, {window}]")).await;
            assert!(
                fits[0].as_u64() <= fits[1].as_u64() && fits[1] == width,
                "the page is {fits} wide\n{}",
                self.widest().await
            );
            for scheme in SCHEMES {
                self.devtools(
                    "Emulation.setEmulatedMedia",
                    json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
                )
                .await;
                if axe.is_some() {
                    let violations = self.violations(scheme).await;
                    assert!(violations.is_empty(), "{width} px, {scheme}: {violations:#?}");
                }
            }
        }
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
    }

    /// Makes the page as wide as on such a screen.
    pub(super) async fn be_wide(&self, width: u32) {
        let screen = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Returns what reaches out of the window, and is not of a part that scrolls.
    async fn widest(&self) -> Value {
        self.run(
            "return [...document.querySelectorAll('*')].filter(it => it.getBoundingClientRect().right > innerWidth + 1 && !it.closest('.scroll *, nav *'))
                 .slice(0, 20).map(it => it.outerHTML.slice(0, 120)).join('\\n')",
        )
        .await
    }

    /// Returns what axe-core calls serious or critical, with where it is.
    async fn violations(&self, scheme: &str) -> Vec<Value> {
        // In dark only the colours are others.
        let rules = if scheme == "dark" { "runOnly: ['color-contrast']," } else { "" };
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { RULES resultTypes: ['violations'], preload: false }).then(found => done(found.violations
                .filter(it => it.impact === 'serious' || it.impact === 'critical')
                .map(it => [it.id, it.help, it.nodes.slice(0, 5).map(node => [node.html.slice(0, 300), node.failureSummary])])),
                error => done([String(error)]))";
        self.client
            .execute_async(&script.replace("RULES", rules), Vec::new())
            .await
            .unwrap()
            .as_array()
            .unwrap()
            .clone()
    }

    /// Checks what the browser has done since it was asked last: it logged nothing, and asked nobody but `origin`.
    pub(super) async fn was_quiet(&self, origin: &str) {
        assert_eq!(self.logged().await, [] as [String; 0]);
        self.stayed_on(origin).await;
    }

    /// Returns what the console has shown since it was read last.
    pub(super) async fn logged(&self) -> Vec<String> {
        self.log("browser").await.iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Checks that every request since the last check went to `origin`.
    pub(super) async fn stayed_on(&self, origin: &str) {
        let asked: Vec<String> = self.log("performance").await.iter().filter_map(url_of_request).collect();
        // The browser's own pages, and what is in the page itself.
        let is_ours = |url: &&String| ["about:", "data:", "chrome:", origin].iter().any(|own| url.starts_with(own));
        let elsewhere: Vec<_> = asked.iter().filter(|url| !is_ours(url)).collect();
        assert!(elsewhere.is_empty(), "{elsewhere:?}");
        assert!(asked.iter().any(|url| url.starts_with(origin)), "no request was seen: {asked:?}");
    }
}

fn url_of_request(entry: &Value) -> Option<String> {
    let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
    let message = &message["message"];
    let is_request = message["method"] == "Network.requestWillBeSent";
    is_request.then(|| message["params"]["request"]["url"].as_str().map(str::to_owned)).flatten()
}
