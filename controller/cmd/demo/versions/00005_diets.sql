-- Expand: the version before neither reads nor writes these, and goes on beside the one that does.

-- +goose Up
CREATE TABLE diets (
    id    text PRIMARY KEY,
    title text NOT NULL
);
ALTER TABLE orders ADD COLUMN diet text;
ALTER TABLE menu_items ADD COLUMN diets text NOT NULL DEFAULT '';
CREATE INDEX orders_by_diet ON orders (diet) WHERE diet IS NOT NULL;

-- +goose Down
DROP INDEX orders_by_diet;
ALTER TABLE menu_items DROP COLUMN diets;
ALTER TABLE orders DROP COLUMN diet;
DROP TABLE diets;
