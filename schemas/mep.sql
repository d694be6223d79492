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
