-- What happened, and what follows from it.
--
-- `entry` is the truth: rows are added, and pruned when they are old, but never changed. The other tables only point
-- into it, so that nothing needs to be read in full to begin again: the triggers below keep them, in the same
-- transaction as the entry itself.

-- One start of the service. `ended` stays empty when it did not stop in order; `pages` is the length of the file then.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    boot TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started TEXT NOT NULL,
    ended TEXT,
    pages INTEGER
) STRICT;

-- `body` is the entry's whole form; the columns beside it are for finding it.
CREATE TABLE entry (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    kind TEXT NOT NULL,
    node TEXT NOT NULL,
    action TEXT,
    request_id TEXT,
    body TEXT NOT NULL,
    at TEXT AS (json_extract(body, '$.at'))
) STRICT;
CREATE INDEX entry_action ON entry (action) WHERE action IS NOT NULL;
CREATE INDEX entry_followed ON entry (request_id) WHERE kind = 'followed';

-- `number` is that of the entry that accepted it, `answer` that of its terminal record; `action` is the last one it followed.
CREATE TABLE request (
    number INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    node TEXT NOT NULL,
    action TEXT NOT NULL,
    answer INTEGER
) STRICT;
CREATE INDEX request_node ON request (node);
CREATE INDEX request_answer ON request (answer);

-- The actions that are not over; `number` is that of the entry that began it.
CREATE TABLE action (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    node TEXT NOT NULL,
    verb TEXT NOT NULL,
    superseded_by TEXT,
    superseded_verb TEXT
) STRICT;

-- `wanted` is the number of the entry that accepted what is wanted, `seen` that of the last observation.
CREATE TABLE node (
    name TEXT PRIMARY KEY,
    sequence INTEGER,
    wanted INTEGER,
    wanted_action TEXT,
    seen INTEGER
) STRICT, WITHOUT ROWID;

-- Every entry up to `number` is pruned, but for those that are still needed.
CREATE TABLE pruned (number INTEGER NOT NULL) STRICT;
INSERT INTO pruned VALUES (0);

CREATE TRIGGER accepted AFTER INSERT ON entry WHEN NEW.kind = 'accepted' BEGIN
    INSERT OR REPLACE INTO request (number, request_id, node, action)
        VALUES (NEW.number, NEW.request_id, NEW.node, NEW.action);
    INSERT OR IGNORE INTO action (number, id, node, verb)
        SELECT NEW.number, NEW.action, NEW.node, json_extract(NEW.body, '$.request.verb')
        WHERE json_extract(NEW.body, '$.disposition') <> 'joined';
    INSERT INTO node (name, sequence)
        VALUES (NEW.node, json_extract(NEW.body, '$.request.sequence'))
        ON CONFLICT DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence IS NOT NULL;
    -- Bringing a node back (door 'enforce') is no wish of its own: the one who wanted it stays known.
    UPDATE node SET
            wanted = CASE json_extract(NEW.body, '$.request.door') WHEN 'enforce' THEN wanted ELSE NEW.number END,
            wanted_action = NEW.action
        WHERE name = NEW.node
        AND json_extract(NEW.body, '$.request.verb') IN ('on', 'off', 'soft-off', 'cycle')
        AND (wanted IS NOT NULL OR json_extract(NEW.body, '$.request.door') IS NOT 'enforce');
    UPDATE action SET superseded_by = NEW.action, superseded_verb = coalesce(
            (SELECT verb FROM action WHERE id = NEW.action), json_extract(NEW.body, '$.request.verb'))
        WHERE id IN (SELECT value FROM json_each(NEW.body, '$.superseded'));
END;

CREATE TRIGGER followed AFTER INSERT ON entry WHEN NEW.kind = 'followed' BEGIN
    UPDATE request SET action = NEW.action WHERE request_id = NEW.request_id AND answer IS NULL;
    UPDATE node SET wanted_action = NEW.action
        WHERE name = NEW.node
        AND NEW.request_id = (SELECT request_id FROM entry WHERE number = node.wanted);
END;

CREATE TRIGGER answered AFTER INSERT ON entry WHEN NEW.kind = 'answered' BEGIN
    UPDATE request SET answer = NEW.number, action = NEW.action
        WHERE request_id = NEW.request_id AND answer IS NULL;
END;

CREATE TRIGGER ended AFTER INSERT ON entry WHEN NEW.kind = 'ended' BEGIN
    DELETE FROM action WHERE id = NEW.action;
    UPDATE node SET wanted = NULL, wanted_action = NULL
        WHERE name = NEW.node AND wanted_action = NEW.action
        AND json_extract(NEW.body, '$.outcome.outcome') = 'cancelled';
END;

CREATE TRIGGER resolved AFTER INSERT ON entry WHEN NEW.kind = 'resolved' BEGIN
    UPDATE node SET wanted = NULL, wanted_action = NULL WHERE name = NEW.node AND wanted_action = NEW.action;
END;

CREATE TRIGGER observed AFTER INSERT ON entry WHEN NEW.kind = 'observed' BEGIN
    INSERT INTO node (name, seen) VALUES (NEW.node, NEW.number) ON CONFLICT DO UPDATE SET seen = excluded.seen;
END;
