-- +goose Up
ALTER TABLE orders ADD COLUMN colour TEXT NOT NULL;
ALTER TABLE menus ADD COLUMN season TEXT;

-- +goose Down
ALTER TABLE menus DROP COLUMN season;
