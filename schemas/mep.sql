-- A run is one `mep run` with its resumptions; an arm is one experiment of its recipe.
CREATE TABLE runs (
    run_id        TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    recipe_file   TEXT NOT NULL,
    recipe_sha256 TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'interrupted')),
    started_at    TEXT NOT NULL,
    ended_at      TEXT,
    host          TEXT NOT NULL,
    pid           INTEGER NOT NULL,
    environment   TEXT NOT NULL,  -- JSON: versions of mep, Python and packages, platform, device
    error         TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE arms (
    run_id   TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    arm      TEXT NOT NULL,
    position INTEGER NOT NULL,  -- 0 is the baseline
    PRIMARY KEY (run_id, arm)
) STRICT;

-- Every field of every arm, and where it was written.
CREATE TABLE parameters (
    run_id TEXT NOT NULL,
    arm    TEXT NOT NULL,
    field  TEXT NOT NULL,
    value  TEXT NOT NULL,  -- JSON
    origin TEXT NOT NULL,  -- file:line:column, modality, --set or default
    PRIMARY KEY (run_id, arm, field),
    FOREIGN KEY (run_id, arm) REFERENCES arms (run_id, arm) ON DELETE CASCADE
) STRICT;

-- The immutable output of a stage: runs/store/<stage>/<fingerprint>/.
CREATE TABLE artifacts (
    artifact_id TEXT PRIMARY KEY,  -- stage/fingerprint
    stage       TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    version     INTEGER NOT NULL,
    made_by     TEXT NOT NULL,     -- run_id
    made_at     TEXT NOT NULL,
    n_files     INTEGER NOT NULL,
    n_bytes     INTEGER NOT NULL,
    ingredients TEXT NOT NULL,     -- JSON: what the fingerprint is the digest of
    facts       TEXT NOT NULL      -- JSON: counts
) STRICT;

CREATE TABLE inputs (
    artifact_id TEXT NOT NULL REFERENCES artifacts (artifact_id) ON DELETE CASCADE,
    role        TEXT NOT NULL,
    input_id    TEXT NOT NULL,
    PRIMARY KEY (artifact_id, role)
) STRICT;

-- Which artifact served which stage of which arm.
CREATE TABLE uses (
    run_id      TEXT NOT NULL,
    arm         TEXT NOT NULL,
    stage       TEXT NOT NULL,
    artifact_id TEXT NOT NULL,
    how         TEXT NOT NULL CHECK (how IN ('made', 'reused')),
    PRIMARY KEY (run_id, arm, stage),
    FOREIGN KEY (run_id, arm) REFERENCES arms (run_id, arm) ON DELETE CASCADE
) STRICT;

CREATE TABLE attempts (
    attempt_id     INTEGER PRIMARY KEY,
    run_id         TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    artifact_id    TEXT NOT NULL,
    why            TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'interrupted')),
    started_at     TEXT NOT NULL,
    wall_s         REAL,
    peak_memory_mb REAL,  -- of the process, up to the end of the attempt
    error          TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE scores (
    artifact_id TEXT NOT NULL REFERENCES artifacts (artifact_id) ON DELETE CASCADE,
    row         INTEGER NOT NULL,
    metric      TEXT NOT NULL,
    subject     TEXT NOT NULL,  -- samples; train: real training images; floor: autoencoder reconstructions
    value       REAL,           -- NULL where there were too few images; the protocol's flags say so
    se          REAL,
    better      TEXT NOT NULL,
    reference   TEXT NOT NULL,
    n_real      INTEGER NOT NULL,
    n_fake      INTEGER NOT NULL,
    extractor   TEXT NOT NULL,
    protocol    TEXT NOT NULL,  -- JSON: everything else that the number depends on
    PRIMARY KEY (artifact_id, row)
) STRICT;

-- sha256 of input files, by size and modification time.
CREATE TABLE file_hashes (
    path     TEXT PRIMARY KEY,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256   TEXT NOT NULL
) STRICT;

CREATE INDEX artifacts_by_stage ON artifacts (stage, made_at);
CREATE INDEX uses_by_artifact ON uses (artifact_id);
CREATE INDEX attempts_by_artifact ON attempts (artifact_id);

CREATE VIEW run_scores AS
SELECT uses.run_id, runs.name, uses.arm, arms.position, scores.subject, scores.extractor, scores.metric, scores.value,
       scores.se, scores.better, scores.reference, scores.n_real, scores.n_fake, scores.protocol, scores.artifact_id,
       scores.row
FROM uses JOIN scores USING (artifact_id) JOIN runs USING (run_id) JOIN arms USING (run_id, arm);

CREATE VIEW run_stages AS
SELECT uses.run_id, uses.arm, uses.stage, uses.how, artifacts.fingerprint, artifacts.made_by, artifacts.made_at,
       artifacts.n_files, artifacts.n_bytes, artifacts.facts
FROM uses JOIN artifacts USING (artifact_id);

CREATE VIEW stage_costs AS
SELECT attempts.run_id, substr(attempts.artifact_id, 1, instr(attempts.artifact_id, '/') - 1) AS stage,
       attempts.state, attempts.why, attempts.started_at, attempts.wall_s, attempts.peak_memory_mb
FROM attempts;

-- What a process ran on. Equal environments share a row.
CREATE TABLE environments (
    environment_id TEXT PRIMARY KEY,  -- digest of everything below and of the packages
    mep            TEXT NOT NULL,
    python         TEXT NOT NULL,
    platform       TEXT NOT NULL,
    cpu            TEXT NOT NULL,
    n_cores        INTEGER NOT NULL,
    memory_gb      REAL NOT NULL,
    gpu            TEXT NOT NULL,     -- one name a line, empty where there is none
    flags          TEXT NOT NULL,     -- JSON: environment variables that change arithmetic or its order
    git_commit     TEXT NOT NULL,     -- of mep's own source, empty where it was installed as a package
    git_diff       TEXT NOT NULL      -- what was changed since that commit, empty where nothing was
) STRICT;

CREATE TABLE packages (
    environment_id TEXT NOT NULL REFERENCES environments (environment_id) ON DELETE CASCADE,
    package        TEXT NOT NULL,
    version        TEXT NOT NULL,
    PRIMARY KEY (environment_id, package)
) STRICT;

-- A process that worked on a run: the first is `mep run`, the others `mep resume`.
CREATE TABLE sessions (
    run_id         TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    session        INTEGER NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'interrupted')),
    started_at     TEXT NOT NULL,
    ended_at       TEXT,
    host           TEXT NOT NULL,
    pid            INTEGER NOT NULL,
    environment_id TEXT NOT NULL REFERENCES environments (environment_id),
    recipe_commit  TEXT NOT NULL,  -- of the git repository that the recipe lies in; + where that has changes
    error          TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, session)
) STRICT;

ALTER TABLE attempts ADD COLUMN number INTEGER;                      -- within the run
ALTER TABLE attempts ADD COLUMN session INTEGER;
ALTER TABLE attempts ADD COLUMN arms TEXT NOT NULL DEFAULT '[]';     -- JSON
ALTER TABLE attempts ADD COLUMN ended_at TEXT;
ALTER TABLE attempts ADD COLUMN machine TEXT NOT NULL DEFAULT '{}';  -- JSON: what an exact resume depends on
-- Whether work left by an earlier attempt was continued as if nothing had happened: empty where there was none,
-- `exact`, or what was different then.
ALTER TABLE attempts ADD COLUMN resume TEXT NOT NULL DEFAULT '';
UPDATE attempts SET number = attempt_id;
CREATE UNIQUE INDEX attempts_by_run ON attempts (run_id, number);

-- What happened to a run besides its attempts.
CREATE TABLE events (
    run_id      TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    at          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    artifact_id TEXT NOT NULL,  -- empty where it concerns the whole run
    message     TEXT NOT NULL,
    PRIMARY KEY (run_id, number)
) STRICT;

-- Runs whose artifacts are never collected.
CREATE TABLE pins (
    run_id      TEXT PRIMARY KEY REFERENCES runs (run_id) ON DELETE CASCADE,
    pinned_at   TEXT NOT NULL,
    unpinned_at TEXT,  -- NULL while it is pinned
    note        TEXT NOT NULL
) STRICT;

DROP VIEW stage_costs;
CREATE VIEW stage_costs AS
SELECT attempts.run_id, substr(attempts.artifact_id, 1, instr(attempts.artifact_id, '/') - 1) AS stage, attempts.arms,
       attempts.state, attempts.why, attempts.started_at, attempts.wall_s, attempts.peak_memory_mb, attempts.resume,
       attempts.error, attempts.artifact_id
FROM attempts;

-- Every artifact with everything that it was made from, however far back.
CREATE VIEW lineage AS
WITH RECURSIVE ancestors (artifact_id, ancestor_id, depth) AS (
    SELECT artifact_id, input_id, 1 FROM inputs
    UNION
    SELECT ancestors.artifact_id, inputs.input_id, ancestors.depth + 1
    FROM ancestors JOIN inputs ON inputs.artifact_id = ancestors.ancestor_id
)
SELECT artifact_id, ancestor_id, max(depth) AS depth FROM ancestors GROUP BY artifact_id, ancestor_id;

CREATE VIEW run_sessions AS
SELECT sessions.run_id, sessions.session, sessions.state, sessions.started_at, sessions.ended_at, sessions.host,
       sessions.error, environments.mep, environments.python, environments.cpu, environments.n_cores, environments.gpu,
       environments.git_commit, environments.git_diff != '' AS git_dirty, sessions.recipe_commit,
       sessions.environment_id
FROM sessions JOIN environments USING (environment_id);
