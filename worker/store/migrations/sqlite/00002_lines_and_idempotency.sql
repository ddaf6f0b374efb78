-- Only adds: a release that knows nothing of these tables goes on working beside one that does.

-- +goose Up
CREATE TABLE order_lines (
    order_id text    NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    position integer NOT NULL,
    item     text    NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, position)
);

-- The key is taken before the order is written, so that two requests with one key meet here: hence the deferred reference.
CREATE TABLE idempotency_keys (
    key         text        PRIMARY KEY,
    order_id    text        NOT NULL REFERENCES orders (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    fingerprint text        NOT NULL,
    created_at  timestamp   NOT NULL
);

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE order_lines;
