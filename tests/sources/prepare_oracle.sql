-- What the user of the tests needs beyond what the image gives: the SCN, and chunks by row address.
ALTER SESSION SET CONTAINER = FREEPDB1;
GRANT EXECUTE ON DBMS_FLASHBACK TO lake;
GRANT SELECT ON V_$DATABASE TO lake;
GRANT CREATE TABLE, UNLIMITED TABLESPACE TO lake;
