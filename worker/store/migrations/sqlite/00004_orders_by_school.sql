-- Expand: indexes for pages of a school's orders and for orders of an older release.

-- +goose Up
CREATE INDEX orders_by_school ON orders (school, date, id);
CREATE INDEX orders_unannounced ON orders (date) WHERE NOT announced;

-- +goose Down
DROP INDEX orders_unannounced;
DROP INDEX orders_by_school;
