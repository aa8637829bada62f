-- Every change is kept; the latest of a name is in force.
CREATE TABLE settings (name TEXT NOT NULL, changed_at TEXT NOT NULL, value TEXT NOT NULL);

CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL);

CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    category_id INTEGER NOT NULL REFERENCES categories,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    price_cents INTEGER NOT NULL,
    -- Kept by checkout; only the fixed suggestions read it.
    sold INTEGER NOT NULL
);
CREATE INDEX products_by_name ON products (name COLLATE NOCASE);
CREATE INDEX products_by_category ON products (category_id);

CREATE TABLE stock (
    product_id INTEGER PRIMARY KEY REFERENCES products,
    on_hand INTEGER NOT NULL CHECK (on_hand >= 0)
);

CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL
);

CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers,
    day TEXT NOT NULL,
    total_cents INTEGER NOT NULL
);

CREATE TABLE order_lines (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders,
    product_id INTEGER NOT NULL REFERENCES products,
    quantity INTEGER NOT NULL,
    price_cents INTEGER NOT NULL
);
CREATE INDEX order_lines_by_order ON order_lines (order_id);

-- Kept by checkout; only the fixed sales report reads it.
CREATE TABLE sales_by_day (day TEXT PRIMARY KEY, orders INTEGER NOT NULL, revenue_cents INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE reviews (
    id INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES products,
    customer_id INTEGER NOT NULL REFERENCES customers,
    day TEXT NOT NULL,
    stars INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX reviews_by_product ON reviews (product_id, day);

CREATE TABLE coupons (code TEXT PRIMARY KEY, percent INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE cart_items (
    cart TEXT NOT NULL,
    product_id INTEGER NOT NULL REFERENCES products,
    quantity INTEGER NOT NULL,
    PRIMARY KEY (cart, product_id)
) WITHOUT ROWID;

CREATE TABLE sessions (customer_id INTEGER PRIMARY KEY REFERENCES customers, token TEXT NOT NULL UNIQUE);

CREATE TABLE newsletter (email TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE thumbnails (product_id INTEGER PRIMARY KEY REFERENCES products, pixels BLOB NOT NULL);
