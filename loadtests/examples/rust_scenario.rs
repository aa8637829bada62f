//! A scenario that YAML cannot express: a customer who looks at products until one is cheap enough.
//!
//! It has the whole command line of `loadtest`:
//! `cargo run -p pinchpoint-loadtest --example rust_scenario -- --users 20 --run-time 30s`

use std::{process::ExitCode, time::Duration};

use pinchpoint_loadtest::{Iteration, LoadTest, Method, Scenario, User};

fn main() -> ExitCode {
    let bargain_hunter = Scenario::new("bargain hunter", |user| Box::pin(hunt(user)));
    let window_shopper = Scenario::new("window shopper", |user| Box::pin(stroll(user)));
    LoadTest::new().scenario(bargain_hunter).scenario(window_shopper.weight(3)).run()
}

async fn hunt(user: &mut User) -> Iteration {
    let page = user.random(0, 7);
    let products = user.get(&format!("/api/products?page={page}")).await?.json()?;
    for product in products.as_array().into_iter().flatten().take(5) {
        let id = &product["id"];
        // Without a name each product would be a line in the report.
        let details = user
            .request(Method::GET, &format!("/api/products/{id}"))
            .name("/api/products/{id}")
            .expect_contains("price_cents")
            .send()
            .await?
            .json()?;
        if details["price_cents"].as_i64().is_some_and(|cents| cents < 2_000) {
            let item =
                serde_json::json!({ "cart": format!("hunter-{}", user.number()), "product_id": id, "quantity": 1 });
            user.post_json("/api/cart", &item).await?;
            break;
        }
        user.think(Duration::from_millis(200), Duration::from_millis(600)).await;
    }
    Ok(())
}

async fn stroll(user: &mut User) -> Iteration {
    user.get("/api/categories").await?;
    user.think(Duration::from_millis(500), Duration::from_secs(2)).await;
    Ok(())
}
