-- What 00006_broken.sql wanted, done right.

-- +goose Up
ALTER TABLE orders ADD COLUMN colour TEXT NOT NULL DEFAULT 'plain';
ALTER TABLE menu_items ADD COLUMN season TEXT;

-- +goose Down
ALTER TABLE menu_items DROP COLUMN season;
ALTER TABLE orders DROP COLUMN colour;
