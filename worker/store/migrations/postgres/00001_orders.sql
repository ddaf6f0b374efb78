-- +goose Up
CREATE TABLE orders (
    id         text        PRIMARY KEY,
    school     text        NOT NULL,
    date       date        NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX orders_by_date ON orders (date, school);

-- +goose Down
DROP TABLE orders;
