//! The shop's made-up data: the same rows at every start, on every machine.
//!
//! Owns the schema and everything random. Nothing here reads a clock or the machine's entropy, so that two shops of one
//! [`Volume`] hold the same rows; a change of any row must change [`VERSION`], or kept data would not be made anew.

use jiff::ToSpan;
use sqlx::{AssertSqlSafe, Connection, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

/// Marks a database as ours, with the version of its rows (SQLite's `user_version`).
pub(crate) const VERSION: i64 = 0x7069_0003;
/// The last day on which a made-up order was placed.
pub(crate) const LAST_DAY: jiff::civil::Date = jiff::civil::date(2025, 6, 30);
/// The password of every made-up customer.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// Coupon codes as the database has them; the shop's pages print them in capitals.
pub(crate) const COUPONS: [&str; 4] = ["spring10", "summer15", "friends20", "welcome5"];

/// Days over which the orders are spread.
const DAYS: usize = 365;
/// How often each setting has been changed.
const SETTING_CHANGES: usize = 2_500;
/// Rows of one `INSERT`: few statements, each far below SQLite's limit of 32,766 parameters.
const CHUNK: usize = 100;

const CATEGORIES: [&str; 12] =
    ["Kitchen", "Garden", "Books", "Toys", "Music", "Sports", "Office", "Travel", "Lighting", "Tools", "Bath", "Pets"];
const QUALITIES: [&str; 20] = [
    "Amber", "Brass", "Cedar", "Copper", "Cotton", "Felt", "Glass", "Granite", "Ivory", "Jade", "Linen", "Maple",
    "Marble", "Oak", "Pearl", "Slate", "Steel", "Velvet", "Walnut", "Wicker",
];
const THINGS: [&str; 16] = [
    "Basket", "Bell", "Bowl", "Box", "Chair", "Clock", "Frame", "Kettle", "Lamp", "Mirror", "Pen", "Rug", "Shelf",
    "Stool", "Tray", "Vase",
];
const FIRST_NAMES: [&str; 12] =
    ["Ada", "Alan", "Barbara", "Dennis", "Edsger", "Frances", "Grace", "Ken", "Leslie", "Margaret", "Niklaus", "Radia"];
const LAST_NAMES: [&str; 10] =
    ["Allen", "Byron", "Dijkstra", "Hamilton", "Hopper", "Lamport", "Liskov", "Perlman", "Ritchie", "Thompson"];
const PHRASES: [&str; 10] = [
    "well made and pleasant to the hand",
    "arrived a day early",
    "smaller than it looks in the picture",
    "a present that was liked at once",
    "the finish could be better at the edges",
    "does what it should, every day",
    "goes with everything we have",
    "bought a second one the week after",
    "took a while to get used to",
    "sturdy enough for three children",
];

/// How many rows of each kind there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Volume {
    /// Products; at most as many as there are names for them.
    pub(crate) products: usize,
    /// Customers.
    pub(crate) customers: usize,
    /// Orders of one to four lines.
    pub(crate) orders: usize,
    /// Reviews, spread evenly over the products.
    pub(crate) reviews: usize,
}

impl Volume {
    /// The demo's data: few enough rows to be made in a second or two, enough that a sick query is slow.
    pub(crate) const DEMO: Self =
        Self { products: QUALITIES.len() * THINGS.len(), customers: 2_000, orders: 12_000, reviews: 40_000 };
}

/// Creates the schema in an empty database and fills it.
///
/// # Errors
/// Returns SQLite's error; the database is then empty, as before.
pub(crate) async fn fill(
    connection: &mut SqliteConnection,
    volume: Volume,
    password_hash: &str,
) -> Result<(), sqlx::Error> {
    let made_up = MadeUpRows::draw(volume);
    let mut transaction = connection.begin().await?;
    let into = &mut *transaction;
    sqlx::raw_sql(include_str!("schema.sql")).execute(&mut *into).await?;

    insert(into, "settings", 3, &settings(), |query, row| query.bind(row.0).bind(&row.1).bind(&row.2)).await?;
    let categories: Vec<_> = (1i64..).zip(CATEGORIES).collect();
    insert(into, "categories", 2, &categories, |query, row| query.bind(row.0).bind(row.1)).await?;
    insert(into, "products", 6, &made_up.products, |query, row| {
        query
            .bind(row.id)
            .bind(row.category_id)
            .bind(&row.name)
            .bind(&row.description)
            .bind(row.price_cents)
            .bind(row.sold)
    })
    .await?;
    // One product in five is sold out: the sick checkout fails on it.
    insert(into, "stock", 2, &made_up.products, |query, row| {
        query.bind(row.id).bind(if sold_out(row.id) { 0 } else { 1_000_000 })
    })
    .await?;
    let customers: Vec<_> = (1..=volume.customers as i64).map(customer).collect();
    insert(into, "customers", 4, &customers, |query, row| {
        query.bind(row.0).bind(&row.1).bind(&row.2).bind(password_hash)
    })
    .await?;
    insert(into, "orders", 4, &made_up.orders, |query, row| {
        query.bind(row.id).bind(row.customer_id).bind(&row.day).bind(row.total_cents)
    })
    .await?;
    insert(into, "order_lines", 5, &made_up.lines, |query, row| {
        query.bind(row.id).bind(row.order_id).bind(row.product_id).bind(row.quantity).bind(row.price_cents)
    })
    .await?;
    sqlx::query("INSERT INTO sales_by_day SELECT day, COUNT(*), SUM(total_cents) FROM orders GROUP BY day")
        .execute(&mut *into)
        .await?;
    insert(into, "reviews", 6, &made_up.reviews, |query, row| {
        query.bind(row.id).bind(row.product_id).bind(row.customer_id).bind(&row.day).bind(row.stars).bind(&row.body)
    })
    .await?;
    insert(into, "coupons", 2, &COUPONS, |query, code| {
        query.bind(*code).bind(code.trim_start_matches(char::is_alphabetic).parse::<i64>().unwrap_or(5))
    })
    .await?;

    // PRAGMA takes no parameters; the value is a constant of this file. Set last, in the same transaction: a database
    // that has the version has all rows.
    sqlx::query(AssertSqlSafe(format!("PRAGMA user_version = {VERSION}"))).execute(&mut *into).await?;
    transaction.commit().await
}

/// Returns each setting's history, the value in force last.
fn settings() -> Vec<(&'static str, String, String)> {
    const IN_FORCE: [(&str, &str); 4] =
        [("currency", "EUR"), ("vat_percent", "19"), ("delivery_days", "2"), ("notice", "Free delivery above 50.00")];
    let history = (0..SETTING_CHANGES as i64).rev().flat_map(|back| {
        IN_FORCE.map(|(name, value)| {
            let value = if back == 0 { value.to_owned() } else { format!("{value}, revision {back}") };
            (name, day(back), value)
        })
    });
    history.collect()
}

/// Returns whether a made-up product is sold out.
pub(crate) const fn sold_out(product_id: i64) -> bool {
    product_id % 5 == 3
}

/// Returns the id, name and e-mail address of a made-up customer.
pub(crate) fn customer(id: i64) -> (i64, String, String) {
    let index = id as usize;
    let first = FIRST_NAMES[index % FIRST_NAMES.len()];
    let last = LAST_NAMES[index / FIRST_NAMES.len() % LAST_NAMES.len()];
    (id, format!("{first} {last}"), format!("{}.{}.{id}@example.com", first.to_lowercase(), last.to_lowercase()))
}

type Insert<'q> = Query<'q, Sqlite, SqliteArguments>;

async fn insert<R>(
    connection: &mut SqliteConnection,
    table: &str,
    columns: usize,
    rows: &[R],
    bind: impl for<'q> Fn(Insert<'q>, &'q R) -> Insert<'q>,
) -> Result<(), sqlx::Error> {
    let row = format!("({})", vec!["?"; columns].join(","));
    for chunk in rows.chunks(CHUNK) {
        // The table's name and the number of columns are constants of this file.
        let sql = format!("INSERT INTO {table} VALUES {}", vec![row.as_str(); chunk.len()].join(","));
        let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(sql)), &bind);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

struct Product {
    id: i64,
    category_id: i64,
    name: String,
    description: String,
    price_cents: i64,
    sold: i64,
}

struct Order {
    id: i64,
    customer_id: i64,
    day: String,
    total_cents: i64,
}

struct Line {
    id: i64,
    order_id: i64,
    product_id: i64,
    quantity: i64,
    price_cents: i64,
}

struct Review {
    id: i64,
    product_id: i64,
    customer_id: i64,
    day: String,
    stars: i64,
    body: String,
}

/// The rows that are made up at random, before they are inserted.
struct MadeUpRows {
    products: Vec<Product>,
    orders: Vec<Order>,
    lines: Vec<Line>,
    reviews: Vec<Review>,
}

impl MadeUpRows {
    fn draw(volume: Volume) -> Self {
        let mut dice = Dice(0x5eed);
        let days: Vec<String> = (0..DAYS as i64).rev().map(day).collect();
        let mut products: Vec<_> = (0..volume.products).map(|index| product(index, &mut dice)).collect();
        let mut orders = Vec::with_capacity(volume.orders);
        let mut lines = Vec::with_capacity(volume.orders * 3);
        for index in 0..volume.orders {
            let id = index as i64 + 1;
            let mut total_cents = 0;
            for _ in 0..=dice.below(4) {
                let product = &mut products[dice.below(volume.products)];
                let quantity = dice.below(3) as i64 + 1;
                product.sold += quantity;
                total_cents += quantity * product.price_cents;
                lines.push(Line {
                    id: lines.len() as i64 + 1,
                    order_id: id,
                    product_id: product.id,
                    quantity,
                    price_cents: product.price_cents,
                });
            }
            let customer_id = dice.below(volume.customers) as i64 + 1;
            orders.push(Order { id, customer_id, day: days[index * DAYS / volume.orders].clone(), total_cents });
        }
        let reviews = (0..volume.reviews)
            .map(|index| Review {
                id: index as i64 + 1,
                product_id: (index % volume.products) as i64 + 1,
                customer_id: dice.below(volume.customers) as i64 + 1,
                day: days[dice.below(DAYS)].clone(),
                stars: dice.below(5) as i64 + 1,
                body: sentence(&mut dice, 2),
            })
            .collect();
        Self { products, orders, lines, reviews }
    }
}

/// Returns the day `back` days before the last one.
pub(crate) fn day(back: i64) -> String {
    LAST_DAY.checked_sub(back.days()).unwrap_or(jiff::civil::Date::MIN).to_string()
}

fn product(index: usize, dice: &mut Dice) -> Product {
    Product {
        id: index as i64 + 1,
        category_id: (index % CATEGORIES.len()) as i64 + 1,
        name: format!("{} {}", QUALITIES[index % QUALITIES.len()], THINGS[index / QUALITIES.len() % THINGS.len()]),
        description: sentence(dice, 40),
        price_cents: dice.below(20_000) as i64 + 199,
        sold: 0,
    }
}

fn sentence(dice: &mut Dice, phrases: usize) -> String {
    let phrases: Vec<_> = (0..phrases).map(|_| PHRASES[dice.below(PHRASES.len())]).collect();
    format!("{}.", phrases.join(", "))
}

/// SplitMix64: a few lines, random enough for made-up rows, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}
