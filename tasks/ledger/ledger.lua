-- Every change to a job or a page is one call of this script, so it happens whole or not at all.
-- ARGV: the operation's name, its arguments as JSON. The answer is JSON too.
-- Keys are made here from ids: the ledger wants one Redis, not a Redis Cluster.

local ENDED_PAGE = {ok = true, blank = true, fallback = true, failed = true, cancelled = true}
local ENDED_JOB = {succeeded = true, partial = true, failed = true, cancelled = true}
local CONTENT = {'state', 'reason', 'detail', 'blob', 'engine', 'tokens', 'seconds', 'stop_reason', 'rotation', 'width',
  'height', 'cached', 'text_layer_recall', 'confidence', 'notices'}
local MAX_DELIVERIES = 20
local LOOK_AHEAD = 16
local PURGED_S = 86400 -- how long a purged job is remembered, longer than anything writes that began before
local SWEEP_S = 5 -- after which a purged job is looked after for the first time
local GOOD_PAGE = {ok = true, blank = true, fallback = true}

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function job_key(job) return 'pf:job:' .. job end
local function pages_key(job) return 'pf:pages:' .. job end
local function run_key(job, run) return 'pf:run:' .. job .. ':' .. run end
local function fed_key(job, run) return 'pf:fed:' .. job .. ':' .. run end
local function claim_key(job, index) return 'pf:claim:' .. job .. ':' .. index end
local function starts_key(job) return 'pf:starts:' .. job end

-- Pages of one job may be read by several engines: each has a lane, and '' is that of the server's own, see tasks.lanes.
local function in_lane(key, lane) return (lane or '') == '' and key or key .. ':' .. lane end
local function queue_key(job, lane) return in_lane('pf:ready:pages:' .. job, lane) end
local function jobs_key(owner, lane) return in_lane('pf:ready:jobs:' .. owner, lane) end
local function owners_key(lane) return in_lane('pf:ready:owners', lane) end
local function gpu_queue(lane) return (lane or '') == '' and 'gpu' or 'gpu-' .. lane end

local function batch_key(owner, batch) return 'pf:batch:' .. owner .. ':' .. batch end
local function partial_key(job, index) return 'pf:partial:' .. job .. ':' .. index end
local function purged_key(job) return 'pf:purged:' .. job end
local function workers_key(queue) return 'pf:workers:' .. queue end
local LANES = 'pf:lanes' -- those that pages have waited in, but for ''
local UNCONCLUDED = 'pf:unconcluded'
local PURGES = 'pf:purges'
local HELD = 'pf:held' -- by queue, the pages that the engines of its workers hold at once
local SETTLED = 'pf:settled'
local MOVED = 'pf:moved'
local HELD_S = 15 -- how long a worker's report counts for that
local DAYS_S = 2 * 86400 -- how long the charges of a day are kept

local function job_field(job, name) return redis.call('HGET', job_key(job), name) or nil end
local function job_state(job) return job_field(job, 'state') end

-- Announce a change: a number that only rises, which listeners resume from; a mark follows that of the job's state.
local function next_seq(job, mark)
  local seq = redis.call('HINCRBY', job_key(job), 'seq', 1)
  redis.call('HSET', job_key(job), 'moved_at', now)
  redis.call('PUBLISH', 'pf:changed:' .. job, seq .. (mark or ''))
  return seq
end

local function set_job(job, state)
  redis.call('HSET', job_key(job), 'state', state, 'changed_at', now)
  next_seq(job, '!')
end

local function activate(job)
  redis.call('SADD', 'pf:active', job)
  redis.call('SADD', 'pf:active:' .. job_field(job, 'owner'), job)
end

local function lanes()
  local all = redis.call('SMEMBERS', LANES)
  table.insert(all, '')
  return all
end

local function deactivate(job)
  redis.call('SREM', 'pf:active', job)
  redis.call('SREM', 'pf:active:' .. (job_field(job, 'owner') or ''), job)
  for _, lane in ipairs(lanes()) do redis.call('DEL', queue_key(job, lane)) end
end

-- The job's pages wait for no turn any more.
local function leave_turns(job, owner)
  for _, lane in ipairs(lanes()) do redis.call('ZREM', jobs_key(owner, lane), job) end
end

-- Enter a job in the lists that it is missing from.
local function list(job)
  local owner, created_at, batch = unpack(redis.call('HMGET', job_key(job), 'owner', 'created_at', 'batch_id'))
  redis.call('ZADD', 'pf:jobs', 'NX', created_at, job)
  redis.call('ZADD', 'pf:jobs:' .. owner, 'NX', created_at, job)
  if (batch or '') ~= '' then redis.call('ZADD', batch_key(owner, batch), 'NX', created_at, job) end
end

-- A page nobody has touched has no record; in a cancelled job it will not be touched.
local function get_page(job, index)
  local raw = redis.call('HGET', pages_key(job), index)
  if raw then return cjson.decode(raw) end
  return {state = job_field(job, 'cancelled_at') and 'cancelled' or 'queued', run = 1}
end

local function put_page(job, index, page, old_state)
  if old_state ~= page.state then
    if old_state ~= 'queued' then redis.call('HINCRBY', job_key(job), 'n:' .. old_state, -1) end
    if page.state ~= 'queued' then redis.call('HINCRBY', job_key(job), 'n:' .. page.state, 1) end
  end
  if page.state == 'ready' then page.ready_at = now end
  page.seq = next_seq(job)
  redis.call('HSET', pages_key(job), index, cjson.encode(page))
  redis.call('ZADD', 'pf:changes:' .. job, page.seq, index)
end

local function forget_work(job, index)
  redis.call('DEL', claim_key(job, index))
  redis.call('HDEL', starts_key(job), index)
  redis.call('ZREM', queue_key(job, get_page(job, index).lane), index)
end

-- A repair that brings nothing better leaves the page as it was; the attempt stays on record.
local function settle(page)
  if page.kept and not GOOD_PAGE[page.state] then
    for _, name in ipairs(CONTENT) do page[name] = page.kept[name] end
  end
  page.kept = nil
end

local ops = {}

-- jobs -----------------------------------------------------------------------------------------------------

local function is_taken(job)
  return redis.call('EXISTS', job_key(job), purged_key(job)) > 0 or redis.call('ZSCORE', 'pf:jobs', job)
end

function ops.create(a)
  if is_taken(a.job) then return false end
  redis.call('HSET', job_key(a.job), 'state', 'queued', 'run', 0, 'seq', 0, 'created_at', now, 'changed_at', now)
  for name, value in pairs(a.fields) do redis.call('HSET', job_key(a.job), name, value) end
  redis.call('ZADD', 'pf:jobs', now, a.job)
  redis.call('ZADD', 'pf:jobs:' .. a.fields.owner, now, a.job)
  if a.fields.batch_id ~= '' then redis.call('ZADD', batch_key(a.fields.owner, a.fields.batch_id), now, a.job) end
  activate(a.job)
  return true
end

-- All of these jobs of one owner, or none where they would be too many or an id is taken; each a moment after the one
-- before.
function ops.create_all(a)
  local owner = a.jobs[1].fields.owner
  if a.most > 0 and redis.call('SCARD', 'pf:active') + #a.jobs > a.most then return 'full' end
  if a.most_of_owner > 0 and redis.call('SCARD', 'pf:active:' .. owner) + #a.jobs > a.most_of_owner then
    return 'owner_full'
  end
  for _, entry in ipairs(a.jobs) do
    if is_taken(entry.job) then return 'taken' end
  end
  for _, entry in ipairs(a.jobs) do
    ops.create(entry)
    now = now + 0.000001
  end
  return 'entered'
end

-- queued -> splitting: the number of times it began, this one included; false where there is nothing left to split.
function ops.begin_split(a)
  local state = job_state(a.job)
  if state ~= 'queued' and state ~= 'splitting' then return false end
  redis.call('HSETNX', job_key(a.job), 'started_at', now)
  set_job(a.job, 'splitting')
  return redis.call('HINCRBY', job_key(a.job), 'splits', 1)
end

-- A split that did not find room to begin does not count.
function ops.put_off_split(a)
  if job_state(a.job) ~= 'splitting' then return false end
  redis.call('HINCRBY', job_key(a.job), 'splits', -1)
  return true
end

-- The document of a URL has been fetched.
function ops.set_source(a)
  if job_state(a.job) ~= 'splitting' then return false end
  redis.call('HSET', job_key(a.job), 'kind', a.kind, 'size', a.size)
  next_seq(a.job)
  return true
end

-- The document is open: run 1 has these pages.
function ops.open_first_run(a)
  if job_state(a.job) ~= 'splitting' then return false end
  redis.call('HSET', job_key(a.job), 'run', 1, 'num_pages', a.num_pages, 'selection', a.selection,
    'num_selected', a.size, 'warnings', a.warnings)
  redis.call('HSET', run_key(a.job, 1), 'selection', a.selection, 'size', a.size, 'next', 0, 'left', a.size,
    'options', '{}', 'opened_at', now)
  set_job(a.job, 'running')
  return true
end

-- A repair: the pages go back to the start under a new run number. Says which page is still at work, if one is.
function ops.open_repair(a)
  local state = job_state(a.job)
  if not state then return {error = 'unknown'} end
  if not job_field(a.job, 'selection') then return {error = 'no_pages'} end
  for _, index in ipairs(a.indexes) do
    if not ENDED_PAGE[get_page(a.job, index).state] then return {error = 'busy', index = index} end
  end
  if ENDED_JOB[state] then
    for earlier = 1, tonumber(job_field(a.job, 'run')) do redis.call('HSET', run_key(a.job, earlier), 'left', 0) end
  end
  local run = redis.call('HINCRBY', job_key(a.job), 'run', 1)
  activate(a.job)
  for _, index in ipairs(a.indexes) do
    local page = get_page(a.job, index)
    local before = page.state
    if GOOD_PAGE[before] then
      page.kept = {}
      for _, name in ipairs(CONTENT) do page.kept[name] = page[name] end
    end
    page.state, page.run, page.reason, page.resends = 'queued', run, nil, nil
    forget_work(a.job, index)
    page.lane = nil
    put_page(a.job, index, page, before)
  end
  redis.call('HSET', run_key(a.job, run), 'selection', a.selection, 'size', #a.indexes, 'next', 0, 'left', #a.indexes,
    'options', a.options, 'opened_at', now)
  redis.call('HDEL', job_key(a.job), 'ended_at', 'error', 'tries:assembly', 'tries:look')
  set_job(a.job, 'running')
  return {run = run}
end

-- Set the counters from the records themselves: what is left of each run, and how many pages stand in each state.
local function recount(job)
  local last = tonumber(job_field(job, 'run') or '0')
  local counts, left = {}, {}
  for run = 1, last do left[run] = 0 end
  local records = redis.call('HVALS', pages_key(job))
  for _, raw in ipairs(records) do
    local page = cjson.decode(raw)
    counts[page.state] = (counts[page.state] or 0) + 1
    if not ENDED_PAGE[page.state] then left[page.run] = (left[page.run] or 0) + 1 end
  end
  local untouched = tonumber(job_field(job, 'num_selected') or '0') - #records
  if job_field(job, 'cancelled_at') then
    counts.cancelled = (counts.cancelled or 0) + untouched
  elseif last > 0 then
    left[1] = left[1] + untouched
  end
  for _, state in ipairs({'preparing', 'ready', 'generating', 'ok', 'blank', 'fallback', 'failed', 'cancelled'}) do
    redis.call('HSET', job_key(job), 'n:' .. state, counts[state] or 0)
  end
  local total = 0
  for run = 1, last do
    redis.call('HSET', run_key(job, run), 'left', left[run])
    total = total + left[run]
  end
  return total
end

-- A run whose record was lost begins again; its pages that have ended stay as they are.
function ops.restore_run(a)
  if not job_state(a.job) then return false end
  if redis.call('HEXISTS', run_key(a.job, a.run), 'size') == 1 then return false end
  redis.call('HSET', run_key(a.job, a.run), 'selection', a.selection, 'size', a.size, 'next', 0, 'options', '{}')
  recount(a.job)
  return true
end

-- One more try at a step of a job, this one included; 0 for a job that has ended.
function ops.count_try(a)
  local state = job_state(a.job)
  if not state or ENDED_JOB[state] then return 0 end
  return redis.call('HINCRBY', job_key(a.job), 'tries:' .. a.step, 1)
end

-- May the results be written? "assemble" when every page of every run has ended, "wait" when not, "done" when they are.
function ops.begin_assembly(a)
  local state = job_state(a.job)
  if not state or ENDED_JOB[state] then return 'done' end
  if state == 'assembling' then return 'assemble' end
  if state ~= 'running' or recount(a.job) > 0 then return 'wait' end
  set_job(a.job, 'assembling')
  return 'assemble'
end

-- The last word on a job; `from` guards against a repair that began meanwhile.
function ops.end_job(a)
  local state = job_state(a.job)
  if not state or ENDED_JOB[state] or (a.from and state ~= a.from) then return false end
  redis.call('HSET', job_key(a.job), 'ended_at', now)
  if a.error then redis.call('HSET', job_key(a.job), 'error', a.error) end
  redis.call('ZADD', UNCONCLUDED, now, a.job)
  deactivate(a.job)
  set_job(a.job, a.state)
  return true
end

-- Stop a job. Pages at work stop at their next check. A cancelled repair leaves the job as it was: "assemble" again.
function ops.cancel(a)
  local state = job_state(a.job)
  if not state or ENDED_JOB[state] then return state or false end
  for _, index in ipairs(redis.call('HKEYS', pages_key(a.job))) do
    local page = get_page(a.job, index)
    local before = page.state
    if not ENDED_PAGE[before] then
      page.state = 'cancelled'
      settle(page)
      put_page(a.job, index, page, before)
      forget_work(a.job, index)
    end
  end
  local last = tonumber(job_field(a.job, 'run'))
  if last > 1 then
    for run = 1, last do redis.call('HSET', run_key(a.job, run), 'left', 0) end
    return 'assemble'
  end
  local untouched = tonumber(job_field(a.job, 'num_selected') or '0') - redis.call('HLEN', pages_key(a.job))
  redis.call('HSET', job_key(a.job), 'cancelled_at', now)
  redis.call('HINCRBY', job_key(a.job), 'n:cancelled', untouched)
  ops.end_job({job = a.job, state = 'cancelled'})
  return 'cancelled'
end

-- Jobs that ended over `age` seconds ago and whose record has not been written since, nor their webhook told.
function ops.unconcluded(a)
  return redis.call('ZRANGEBYSCORE', UNCONCLUDED, '-inf', now - a.age)
end

-- The newest attempts to call the job's webhook, and the newest at each file of its target, oldest first.
function ops.note_delivery(a)
  if not job_state(a.job) then return false end
  local kept = cjson.decode(job_field(a.job, 'deliveries') or '[]')
  if a.attempt.kind == 'target' or a.attempt.kind == 'pages' then -- these have one entry, that of the last try
    for place = #kept, 1, -1 do
      local one = kept[place]
      if one.kind == a.attempt.kind and one.event == a.attempt.event and one.format == a.attempt.format then
        table.remove(kept, place)
      end
    end
  end
  table.insert(kept, a.attempt)
  if #kept > MAX_DELIVERIES then table.remove(kept, 1) end
  redis.call('HSET', job_key(a.job), 'deliveries', cjson.encode(kept))
  next_seq(a.job)
  return true
end

-- One call about pages of a job is under way at a time, unless it seems lost.
function ops.hold_pages_call(a)
  if not job_state(a.job) or tonumber(job_field(a.job, 'pages_call') or '0') > now then return false end
  redis.call('HSET', job_key(a.job), 'pages_call', now + a.hold)
  return true
end

-- The webhook has heard of the pages up to the change `seq`; another call may be sent `hold` seconds from now.
function ops.told_pages(a)
  if not job_state(a.job) then return false end
  redis.call('HSET', job_key(a.job), 'pages_told', string.format('%.0f', a.seq), 'pages_call', now + a.hold)
  return true
end

-- Whether all jobs of this one's batch have ended, and this one last. Those that are put away ended before.
function ops.ends_batch(a)
  local owner, batch, ended_at = unpack(redis.call('HMGET', job_key(a.job), 'owner', 'batch_id', 'ended_at'))
  if not ended_at or (batch or '') == '' then return false end
  for _, other in ipairs(redis.call('ZREVRANGE', batch_key(owner, batch), 0, -1)) do
    if redis.call('SISMEMBER', 'pf:active', other) == 1 then return false end
    local later = tonumber(job_field(other, 'ended_at') or '0')
    local mine = tonumber(ended_at)
    if later > mine or (later == mine and other > a.job) then return false end
  end
  return true
end

-- Enter an unfinished job again in the lists that it is missing from.
function ops.enlist(a)
  local state, owner = job_state(a.job), job_field(a.job, 'owner')
  if not state or ENDED_JOB[state] then return false end
  activate(a.job)
  list(a.job)
  return true
end

-- Remove what a job has but its places in the lists of jobs.
local function remove_record(job, last)
  for run = 1, last do redis.call('DEL', run_key(job, run), fed_key(job, run)) end
  for _, index in ipairs(redis.call('HKEYS', pages_key(job))) do
    redis.call('DEL', claim_key(job, index), partial_key(job, index))
  end
  redis.call('DEL', job_key(job), pages_key(job), starts_key(job), 'pf:changes:' .. job, 'pf:missing:' .. job,
    'pf:watched:' .. job)
  redis.call('ZREM', SETTLED, job)
end

-- The job that has ended was concluded; it may be put away `after` seconds from now.
function ops.concluded(a)
  redis.call('ZREM', UNCONCLUDED, a.job)
  if ENDED_JOB[job_state(a.job) or ''] then redis.call('ZADD', SETTLED, now + a.after, a.job) end
  return true
end

-- Jobs to be put away now; `after` seconds from now it is their turn again. One that runs again comes back at its end.
function ops.settled_due(a)
  local due = {}
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', SETTLED, '-inf', now, 'LIMIT', 0, a.most)) do
    if ENDED_JOB[job_state(job) or ''] then
      redis.call('ZADD', SETTLED, now + a.after, job)
      table.insert(due, job)
    else
      redis.call('ZREM', SETTLED, job)
    end
  end
  return due
end

-- Remove a job that has ended and whose files have it as it was at its change `seq`.
function ops.put_away(a)
  if not ENDED_JOB[job_state(a.job) or ''] or tonumber(job_field(a.job, 'seq')) ~= a.seq then return false end
  if redis.call('ZSCORE', UNCONCLUDED, a.job) then return false end
  deactivate(a.job)
  leave_turns(a.job, job_field(a.job, 'owner') or '')
  remove_record(a.job, tonumber(job_field(a.job, 'run') or '0'))
  return true
end

-- Enter a job that has ended again, with its pages as {index, seq, record}. Its runs have nothing left to do.
function ops.take_out(a)
  if redis.call('EXISTS', job_key(a.job)) == 1 then return true end
  if redis.call('EXISTS', purged_key(a.job)) == 1 then return false end
  for name, value in pairs(a.fields) do redis.call('HSET', job_key(a.job), name, value) end
  for _, page in ipairs(a.pages) do
    redis.call('HSET', pages_key(a.job), page[1], page[3])
    redis.call('ZADD', 'pf:changes:' .. a.job, page[2], page[1])
  end
  for run = 1, tonumber(a.fields.run) do
    redis.call('HSET', run_key(a.job, run), 'selection', a.fields.selection, 'size', a.fields.num_selected,
      'next', a.fields.num_selected, 'left', 0, 'options', '{}')
  end
  list(a.job)
  redis.call('ZADD', SETTLED, now + a.after, a.job)
  return true
end

-- Remove all keys of a job, of `runs` runs where its record does not know of so many.
function ops.forget(a)
  local owner = job_field(a.job, 'owner') or a.owner or ''
  local last = math.max(a.runs or 0, tonumber(job_field(a.job, 'run') or '0'))
  redis.call('ZREM', batch_key(owner, job_field(a.job, 'batch_id') or a.batch_id or ''), a.job)
  deactivate(a.job)
  leave_turns(a.job, owner)
  for run = 1, last do redis.call('DEL', 'pf:pdf:' .. a.job .. ':' .. run) end
  remove_record(a.job, last)
  redis.call('ZREM', 'pf:jobs', a.job)
  redis.call('ZREM', 'pf:jobs:' .. owner, a.job)
  redis.call('ZREM', UNCONCLUDED, a.job)
  redis.call('ZREM', 'pf:passwords', a.job)
  return true
end

-- Forget a job for good, and remember that: what is still under way may make no key and no file of it anew. Answers
-- with the number of its runs and where its texts lie in the page cache.
function ops.purge(a)
  local cached = {}
  for _, raw in ipairs(redis.call('HVALS', pages_key(a.job))) do
    local page = cjson.decode(raw)
    for _, key in ipairs(page.earlier_cache_keys or {}) do table.insert(cached, key) end
    if (page.cache_key or '') ~= '' then table.insert(cached, page.cache_key) end
  end
  local before = redis.call('GET', purged_key(a.job)) or job_field(a.job, 'run') or '0'
  local runs = math.max(a.runs, tonumber(before))
  if job_state(a.job) then next_seq(a.job) end -- wakes who watches
  redis.call('SET', purged_key(a.job), runs, 'EX', PURGED_S)
  redis.call('ZADD', PURGES, now + SWEEP_S, a.job)
  redis.call('INCR', 'pf:traces')
  ops.forget({job = a.job, runs = runs, owner = a.owner, batch_id = a.batch_id})
  return {runs = runs, cached = cached}
end

-- The log on disk was written anew after so many purges; another one meanwhile needs it again.
function ops.traces_gone(a)
  if redis.call('GET', 'pf:traces') == a.of then redis.call('DEL', 'pf:traces') end
  return true
end

-- Purged jobs, with their runs, that it is time to look after again: each time after twice as long as before.
function ops.sweep(a)
  local due = {}
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', PURGES, '-inf', now, 'LIMIT', 0, a.most)) do
    local runs, left_s = tonumber(redis.call('GET', purged_key(job)) or '0'), redis.call('TTL', purged_key(job))
    if left_s < 0 then
      redis.call('ZREM', PURGES, job)
    else
      redis.call('ZADD', PURGES, now + math.max(SWEEP_S, PURGED_S - left_s), job)
    end
    ops.forget({job = job, runs = runs})
    table.insert(due, {job, runs})
  end
  return due
end

-- pages ----------------------------------------------------------------------------------------------------

-- Move a page to `state`. The first end of a run's page wins; anything later, or of an older run, is refused.
function ops.move(a)
  local state = job_state(a.job)
  if not state or ENDED_JOB[state] then return false end
  local page = get_page(a.job, a.index)
  local before = page.state
  if page.run ~= a.run or ENDED_PAGE[before] then return false end
  page.state = a.state
  if a.patch.cache_key and (page.cache_key or '') ~= '' and page.cache_key ~= a.patch.cache_key then
    page.earlier_cache_keys = page.earlier_cache_keys or {}
    table.insert(page.earlier_cache_keys, page.cache_key)
  end
  for name, value in pairs(a.patch) do page[name] = value end
  for _, attempt in ipairs(a.attempts) do
    page.attempts = page.attempts or {}
    table.insert(page.attempts, attempt)
  end
  if ENDED_PAGE[a.state] then
    settle(page)
    forget_work(a.job, a.index)
    redis.call('HINCRBY', run_key(a.job, a.run), 'left', -1)
  end
  put_page(a.job, a.index, page, before)
  return true
end

-- More is known of a page that has ended, and maybe a word for people; one that was opened again is left alone.
function ops.note(a)
  if not job_state(a.job) then return false end
  local page = get_page(a.job, a.index)
  if page.run ~= a.run or not ENDED_PAGE[page.state] then return false end
  page.notices = page.notices or {}
  local is_new = a.notice ~= ''
  for _, notice in ipairs(page.notices) do is_new = is_new and notice ~= a.notice end
  if is_new then table.insert(page.notices, a.notice) end
  put_page(a.job, a.index, page, page.state)
  return true
end

-- Another name for a job, in any state.
function ops.rename(a)
  if not job_state(a.job) then return false end
  redis.call('HSET', job_key(a.job), 'name', a.name)
  next_seq(a.job)
  return true
end

-- A job that failed because its document is locked begins again, with options that say that there is a password.
function ops.unlock(a)
  local state = job_state(a.job)
  if not state then return 'unknown' end
  if state ~= 'failed' or (job_field(a.job, 'selection') or '') ~= '' then return 'not_locked' end
  redis.call('HSET', job_key(a.job), 'options', a.options)
  redis.call('HDEL', job_key(a.job), 'ended_at', 'error', 'splits', 'tries:look')
  redis.call('ZREM', UNCONCLUDED, a.job)
  redis.call('ZREM', SETTLED, a.job)
  activate(a.job)
  set_job(a.job, 'queued')
  return 'done'
end

-- A person has corrected the text of a page, or takes that back; once the job has ended.
function ops.correct(a)
  local state = job_state(a.job)
  if not state then return 'unknown' end
  if not ENDED_JOB[state] then return 'running' end
  local page = get_page(a.job, a.index)
  if a.is_corrected and not GOOD_PAGE[page.state] then return 'no_text' end
  local before = (page.corrected_at or 0) > 0
  if before ~= a.is_corrected then
    redis.call('HINCRBY', job_key(a.job), 'num_corrected', a.is_corrected and 1 or -1)
  end
  page.corrected_at = a.is_corrected and now or nil
  put_page(a.job, a.index, page, page.state)
  return 'done'
end

-- One more time that a page's task was sent again; a page that has ended does not count.
function ops.resent(a)
  if not job_state(a.job) then return 0 end
  local page = get_page(a.job, a.index)
  if ENDED_PAGE[page.state] then return 0 end
  page.resends = (page.resends or 0) + 1
  put_page(a.job, a.index, page, page.state)
  return page.resends
end

-- What a page task must know before it works: {run, page, ended job} in one trip.
function ops.look(a)
  local state = job_state(a.job)
  if not state or ENDED_JOB[state] then return false end
  local page = get_page(a.job, a.index)
  if page.run ~= a.run or ENDED_PAGE[page.state] then return false end
  return page
end

-- the window -----------------------------------------------------------------------------------------------

-- A job's share of the window shrinks with its owner's unfinished jobs, so that fifty jobs weigh little more than one.
-- A window leaves no engine without pages: as many as those of a queue hold at once, and half as many to be prepared.
local function share_of(job, least)
  local held = 0
  for _, number in ipairs(redis.call('HVALS', HELD)) do held = math.max(held, tonumber(number)) end
  local window = math.max(least, held + math.floor(held / 2))
  local active = redis.call('SCARD', 'pf:active:' .. job_field(job, 'owner'))
  return math.max(math.min(window, 4), math.floor(window / math.max(active, 1)))
end

-- Take the next positions of a run that may be under way: {first, count, whether its owner has few jobs}.
function ops.feed(a)
  if a.finished then redis.call('ZREM', fed_key(a.job, a.run), a.finished) end
  if job_state(a.job) ~= 'running' then return {0, 0, false} end
  local run = redis.call('HMGET', run_key(a.job, a.run), 'next', 'size')
  if not run[1] or not run[2] then return {0, 0, false} end
  local first, size = tonumber(run[1]), tonumber(run[2])
  local room = share_of(a.job, a.window) - redis.call('ZCARD', fed_key(a.job, a.run))
  local count = math.max(0, math.min(room, size - first))
  for position = first, first + count - 1 do redis.call('ZADD', fed_key(a.job, a.run), now, position) end
  if count > 0 then redis.call('HINCRBY', run_key(a.job, a.run), 'next', count) end
  local active = redis.call('SCARD', 'pf:active:' .. job_field(a.job, 'owner'))
  return {first, count, active <= 4}
end

-- These positions were sent again just now.
function ops.mark_fed(a)
  if not job_state(a.job) then return false end
  for _, position in ipairs(a.positions) do redis.call('ZADD', fed_key(a.job, a.run), now, position) end
  return true
end

-- fairness: owners take turns, an owner's jobs take turns by weight (stride scheduling) --------------------------

local function min_score(key)
  local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return tonumber(head[2] or '0')
end

local function enqueue(job, index, lane)
  local owner = job_field(job, 'owner')
  local jobs, owners = jobs_key(owner, lane), owners_key(lane)
  if (lane or '') ~= '' then redis.call('SADD', LANES, lane) end
  redis.call('ZADD', queue_key(job, lane), index, index)
  if not redis.call('ZSCORE', jobs, job) then redis.call('ZADD', jobs, min_score(jobs), job) end
  if not redis.call('ZSCORE', owners, owner) then redis.call('ZADD', owners, min_score(owners), owner) end
end

local function claimable(job, index)
  local state = job_state(job)
  if not state or ENDED_JOB[state] or redis.call('EXISTS', claim_key(job, index)) == 1 then return nil end
  local page = get_page(job, index)
  if page.state ~= 'ready' and page.state ~= 'generating' then return nil end
  return page
end

local function entry(job, index, page)
  local starts = tonumber(redis.call('HGET', starts_key(job), index) or '0')
  return {job = job, index = tonumber(index), run = page.run, starts = starts, bucket = page.bucket or ''}
end

-- Change a sorted set; the score from before goes into the journal, so that `undo` can bring it back.
local function change(journal, key, member, by)
  table.insert(journal, {key, redis.call('ZSCORE', key, member), member})
  if by then redis.call('ZINCRBY', key, by, member) else redis.call('ZREM', key, member) end
end

local function undo(journal)
  for place = #journal, 1, -1 do redis.call('ZADD', unpack(journal[place])) end
end

-- A job's next page; with a bucket, the first of its next pages that is in it.
local function next_index(job, lane, bucket)
  if not bucket then return redis.call('ZRANGE', queue_key(job, lane), 0, 0)[1] end
  for _, index in ipairs(redis.call('ZRANGE', queue_key(job, lane), 0, LOOK_AHEAD - 1)) do
    if (get_page(job, index).bucket or '') == bucket then return index end
  end
end

-- The next page in turn, off its queue; nil when none is ready. Empty queues are dropped on the way.
local function pop_fair(lane, bucket, journal)
  local last = bucket and LOOK_AHEAD - 1 or -1
  local owners = owners_key(lane)
  for _, owner in ipairs(redis.call('ZRANGE', owners, 0, last)) do
    local jobs = jobs_key(owner, lane)
    for _, job in ipairs(redis.call('ZRANGE', jobs, 0, last)) do
      local index = next_index(job, lane, bucket)
      if index then
        change(journal, queue_key(job, lane), index)
        change(journal, jobs, job, 1 / tonumber(job_field(job, 'priority') or '2'))
        change(journal, owners, owner, 1)
        return job, index
      end
      if redis.call('EXISTS', queue_key(job, lane)) == 0 then change(journal, jobs, job) end
    end
    if redis.call('EXISTS', jobs) == 0 then change(journal, owners, owner) end
  end
end

-- Up to `room` pages in turn: of the bucket, or else of the first page's, as long as there are some, since pages of one
-- length make the best batch; then any. Calls `pick` with each.
local function each_in_turn(room, lane, bucket, journal, pick)
  while room > 0 do
    local job, index = pop_fair(lane, bucket, journal)
    if job then
      local page = claimable(job, index)
      if page and redis.call('HEXISTS', starts_key(job), index) == 0 then
        pick(job, index, page)
        bucket, room = bucket or page.bucket or '', room - 1
      end
    elseif bucket then
      bucket = nil
    else
      return
    end
  end
end

function ops.offer(a)
  local page = claimable(a.job, a.index)
  if not page or page.run ~= a.run then return false end
  enqueue(a.job, a.index, page.lane)
  return true
end

-- Claim up to `n` pages for `token`: the wanted ones first, then in turn. A page that was under way when a process
-- died runs alone, by its own task, so that it can harm no other.
function ops.take(a)
  local taken = {}
  local function claim(job, index, page)
    redis.call('SET', claim_key(job, index), a.token, 'PX', a.ttl_ms)
    redis.call('ZREM', queue_key(job, page.lane), index)
    table.insert(taken, entry(job, index, page))
  end
  for _, want in ipairs(a.want) do
    local page = #taken < a.n and claimable(want[1], want[2])
    if page then
      local suspect = redis.call('HEXISTS', starts_key(want[1]), want[2]) == 1
      if not suspect or #taken == 0 then claim(want[1], want[2], page) end
      if suspect and #taken == 1 then
        redis.call('HSET', MOVED, gpu_queue(a.lane), now)
        return taken
      end
    end
  end
  each_in_turn(a.n - #taken, a.lane, a.bucket or (taken[1] and taken[1].bucket), {}, claim)
  if #taken > 0 then redis.call('HSET', MOVED, gpu_queue(a.lane), now) end
  return taken
end

-- The pages that would be taken now, left where they are: what to read ahead.
function ops.peek(a)
  local seen, journal = {}, {}
  each_in_turn(a.n, a.lane, nil, journal, function(job, index, page) table.insert(seen, entry(job, index, page)) end)
  undo(journal)
  return seen
end

-- Since when a page waits that is among the first in turn; 0 where none does.
function ops.ready_since(a)
  for _, owner in ipairs(redis.call('ZRANGE', owners_key(a.lane), 0, LOOK_AHEAD - 1)) do
    for _, job in ipairs(redis.call('ZRANGE', jobs_key(owner, a.lane), 0, LOOK_AHEAD - 1)) do
      local index = next_index(job, a.lane)
      local page = index and claimable(job, index)
      if page and page.ready_at then return page.ready_at end
    end
  end
  return 0
end

-- Generation of these claimed pages begins now; counted, because a process may die of it.
function ops.start(a)
  for _, p in ipairs(a.pages) do
    if job_state(p[1]) then
      local page = get_page(p[1], p[2])
      if page.state == 'ready' then
        page.state, page.generating_at = 'generating', now
        put_page(p[1], p[2], page, 'ready')
      end
      redis.call('HINCRBY', starts_key(p[1]), p[2], 1)
    end
  end
  return true
end

-- Keep claims alive; answers with the places in the list of pages that must stop: cancelled, ended or no longer ours.
function ops.renew(a)
  local stop = {}
  for place, p in ipairs(a.pages) do
    local state = job_state(p[1])
    local holder = redis.call('GET', claim_key(p[1], p[2]))
    if not state or ENDED_JOB[state] or (holder and holder ~= a.token) then
      table.insert(stop, place - 1)
    else
      redis.call('SET', claim_key(p[1], p[2]), a.token, 'PX', a.ttl_ms)
    end
  end
  return stop
end

-- Give claimed pages back. `blameless` takes back the start, for a process that stops on purpose.
function ops.release(a)
  for _, p in ipairs(a.pages) do
    local job, index = p[1], p[2]
    if redis.call('GET', claim_key(job, index)) == a.token then
      redis.call('DEL', claim_key(job, index))
      if a.blameless and redis.call('HINCRBY', starts_key(job), index, -1) <= 0 then
        redis.call('HDEL', starts_key(job), index)
      end
      local page = claimable(job, index)
      if page and a.blameless then
        if page.state == 'generating' then
          page.state = 'ready'
          put_page(job, index, page, 'generating')
        end
        enqueue(job, index, page.lane)
      end
    end
  end
  return true
end

-- workers --------------------------------------------------------------------------------------------------

function ops.report_alive(a)
  a.report.at = now
  redis.call('HSET', workers_key(a.queue), a.worker, cjson.encode(a.report))
  if a.report.holds then
    local held = 0
    for _, raw in ipairs(redis.call('HVALS', workers_key(a.queue))) do
      local report = cjson.decode(raw)
      if report.at > now - HELD_S then held = held + (report.holds or 0) end
    end
    redis.call('HSET', HELD, a.queue, held)
    redis.call('EXPIRE', HELD, HELD_S)
  end
  return true
end

function ops.note_moved(a)
  for _, queue in ipairs(a.queues) do redis.call('HSET', MOVED, queue, now) end
  return true
end

-- The reports of the workers that have said something in the last `age` seconds; the others are forgotten.
function ops.workers(a)
  local reports = redis.call('HGETALL', workers_key(a.queue))
  local found = {}
  for place = 1, #reports, 2 do
    local report = cjson.decode(reports[place + 1])
    if report.at > now - a.age then
      found[reports[place]] = report
    else
      redis.call('HDEL', workers_key(a.queue), reports[place])
    end
  end
  return found
end

-- quotas ---------------------------------------------------------------------------------------------------

local function day_key(a) return 'pf:day:' .. a.owner .. ':' .. string.format('%d', a.day) end

-- Charge an owner's day with a run's pages, once; false where that would be over `most`.
function ops.charge(a)
  local key = day_key(a)
  if redis.call('HEXISTS', key, a.run) == 1 then return true end
  if tonumber(redis.call('HGET', key, 'total') or '0') + a.pages > a.most then return false end
  redis.call('HSET', key, a.run, a.pages)
  redis.call('HINCRBY', key, 'total', a.pages)
  redis.call('EXPIRE', key, DAYS_S)
  return true
end

function ops.refund(a)
  local pages = redis.call('HGET', day_key(a), a.run)
  if not pages then return false end
  redis.call('HDEL', day_key(a), a.run)
  redis.call('HINCRBY', day_key(a), 'total', -tonumber(pages))
  return true
end

local answer = ops[ARGV[1]](cjson.decode(ARGV[2]))
if type(answer) == 'table' and next(answer) == nil then return '[]' end
return cjson.encode(answer)
