-- The edge's table, for PostgreSQL; edge/start makes SQLite's of it. trunkline writes edge_route; Kamailio reads
-- edge_htable, and by its generation trunkline knows what is loaded. May be applied again at any time: grants stay.
CREATE TABLE IF NOT EXISTS edge_route (
    id VARCHAR(64) PRIMARY KEY,
    trunk_key VARCHAR(64) NOT NULL UNIQUE,
    address VARCHAR(300) NOT NULL,
    transport VARCHAR(3) NOT NULL,
    username VARCHAR(128) NOT NULL,
    password VARCHAR(1024) NOT NULL,
    metadata TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS edge_generation (
    only_one INTEGER PRIMARY KEY,
    generation VARCHAR(64) NOT NULL
);
INSERT INTO edge_generation VALUES (1, 'new') ON CONFLICT (only_one) DO NOTHING;
CREATE OR REPLACE VIEW edge_htable (key_name, key_type, value_type, key_value) AS
    SELECT trunk_key || '::hop', 0, 0, address || ';transport=' || lower(transport) FROM edge_route
    UNION ALL SELECT trunk_key || '::username', 0, 0, username FROM edge_route
    UNION ALL SELECT trunk_key || '::password', 0, 0, password FROM edge_route
    UNION ALL SELECT 'generation', 0, 0, generation FROM edge_generation;
