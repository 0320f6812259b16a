-- The endpoints that refused our password, so that a restart does not try it again: accounts lock.
--
-- `number` is that of the entry that said so last. What is only silent is not here; it is found out again.
CREATE TABLE refused (
    endpoint TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TRIGGER parked AFTER INSERT ON entry WHEN NEW.kind = 'parked' BEGIN
    DELETE FROM refused WHERE endpoint = json_extract(NEW.body, '$.endpoint');
    INSERT INTO refused (endpoint, number)
        SELECT json_extract(NEW.body, '$.endpoint'), NEW.number
        WHERE json_extract(NEW.body, '$.cause') = 'refused';
END;

CREATE TRIGGER unparked AFTER INSERT ON entry WHEN NEW.kind = 'unparked' BEGIN
    DELETE FROM refused WHERE endpoint = json_extract(NEW.body, '$.endpoint');
END;
