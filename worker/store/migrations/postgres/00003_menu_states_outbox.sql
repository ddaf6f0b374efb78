-- Expand: only adds. A release before this one writes orders without prices, state or event; the defaults make them whole,
-- and "announced" tells the newer release which of them it still has to take up.

-- +goose Up
CREATE TABLE schools (
    id             text    PRIMARY KEY,
    time_zone      text    NOT NULL,
    days_before    integer NOT NULL CHECK (days_before BETWEEN 0 AND 14),
    cut_off_minute integer NOT NULL CHECK (cut_off_minute BETWEEN 0 AND 1439)
);
CREATE TABLE menu_items (
    id        text    PRIMARY KEY,
    price     bigint  NOT NULL CHECK (price BETWEEN 0 AND 1000000),
    currency  text    NOT NULL CHECK (length(currency) = 3),
    stock     integer CHECK (stock >= 0),
    first_day date,
    last_day  date
);
CREATE TABLE stock (
    item     text    NOT NULL,
    date     date    NOT NULL,
    reserved integer NOT NULL CHECK (reserved >= 0),
    PRIMARY KEY (item, date)
);
-- A constant default changes no row: https://www.postgresql.org/docs/current/ddl-alter.html#DDL-ALTER-ADDING-A-COLUMN
ALTER TABLE orders
    ADD COLUMN status    text    NOT NULL DEFAULT 'placed',
    ADD COLUMN reason    text,
    ADD COLUMN total     bigint,
    ADD COLUMN currency  text,
    ADD COLUMN announced boolean NOT NULL DEFAULT false;
ALTER TABLE order_lines
    ADD COLUMN unit_price bigint,
    ADD COLUMN reserved   integer NOT NULL DEFAULT 0;
CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type       text        NOT NULL,
    order_id   text        NOT NULL,
    school     text        NOT NULL,
    created_at timestamptz NOT NULL
);

-- Something to order, so that the service works alone. Schools and menu are kept by whoever runs the canteen.
INSERT INTO schools (id, time_zone, days_before, cut_off_minute) VALUES
    ('north', 'Europe/Berlin', 1, 840), ('south', 'Europe/Berlin', 1, 840),
    ('east', 'Europe/Berlin', 1, 840), ('west', 'Europe/Berlin', 0, 510);
INSERT INTO menu_items (id, price, currency, stock) VALUES
    ('soup', 350, 'EUR', NULL), ('lentil-soup', 320, 'EUR', NULL), ('bread', 45, 'EUR', NULL),
    ('pasta', 410, 'EUR', NULL), ('fish', 520, 'EUR', 2000);

-- +goose Down
DROP TABLE outbox;
ALTER TABLE order_lines DROP COLUMN unit_price, DROP COLUMN reserved;
ALTER TABLE orders DROP COLUMN status, DROP COLUMN reason, DROP COLUMN total, DROP COLUMN currency, DROP COLUMN announced;
DROP TABLE stock;
DROP TABLE menu_items;
DROP TABLE schools;
