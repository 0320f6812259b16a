-- Who holds which node.
--
-- `number` is that of the entry by which the holder said so last.
CREATE TABLE hold (
    node TEXT NOT NULL,
    holder TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (node, holder)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_hold ON entry (node) WHERE kind IN ('held', 'released');

CREATE TRIGGER held AFTER INSERT ON entry WHEN NEW.kind = 'held' BEGIN
    INSERT OR REPLACE INTO hold (node, holder, number)
        VALUES (NEW.node, json_extract(NEW.body, '$.holder'), NEW.number);
END;

CREATE TRIGGER released AFTER INSERT ON entry WHEN NEW.kind = 'released' BEGIN
    DELETE FROM hold WHERE node = NEW.node AND holder = json_extract(NEW.body, '$.holder');
END;
