-- +goose Up
ALTER TABLE orders ADD COLUMN colour TEXT NOT NULL;
ALTER TABLE menu_items ADD COLUMN season TEXT;

-- +goose Down
ALTER TABLE menu_items DROP COLUMN season;
