-- +goose NO TRANSACTION
-- Expand: indexes for pages of a school's orders and for orders of an older release, made without stopping writers. One that
-- was interrupted leaves an invalid index behind, hence each begins with its removal.

-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS orders_by_school;
CREATE INDEX CONCURRENTLY orders_by_school ON orders (school, date, id);
DROP INDEX CONCURRENTLY IF EXISTS orders_unannounced;
CREATE INDEX CONCURRENTLY orders_unannounced ON orders (date) WHERE NOT announced;

-- +goose Down
DROP INDEX CONCURRENTLY orders_unannounced;
DROP INDEX CONCURRENTLY orders_by_school;
