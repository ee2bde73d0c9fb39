---@meta
-- Types of the rules' inputs and verdicts, generated from the tables of core/policy.
-- Annotate a rule: `---@type sa.ExecuteRule` before `local rule = { ... }`.

---@class sa.Param
---@field type "string"|"integer"|"number"|"boolean"|"list"|"map"|"quantity"|"duration"
---@field default any
---@field description? string
---@field values? string[] all that a string may be
---@field maxLength? integer bytes of a string
---@field min? number
---@field max? number
---@field items? string type of a list's elements

---@class sa.Rule
---@field name string a-z, 0-9 and -; unique
---@field version integer
---@field point string
---@field description? string
---@field params? table<string, sa.Param>

---@class sa.Scope
---@field namespace? string the namespace; absent: default
---@field tenant? string name of the API key
---@field pool? string name of the warm pool

---@class sa.User
---@field name? string name of the API key
---@field role? "admin"|"operator"|"developer"|"viewer" what it may do

---@class sa.Landlock
---@field enabled? boolean is it to be used?
---@field writable? string[] folders that may be written; the rest is readable at most

---@class sa.Limits
---@field pids? integer processes and threads; 0: what the sandbox asks for
---@field openFiles? integer descriptors of each process
---@field fileSizeBytes? integer bytes of one file; 0: only the disk's size
---@field coreBytes? integer bytes of a core dump; 0: none

---@class sa.Context
---@field runtimeClass? "native"|"gvisor"|"docker" what isolates it
---@field uid? integer user id inside
---@field gid? integer group id inside
---@field capabilities? string[] capabilities that are kept; the native driver keeps none
---@field noNewPrivs? boolean programs can gain no privilege
---@field readOnlyRoot? boolean the root is read-only
---@field privateNetwork? boolean only a loopback device
---@field maskProc? boolean what /proc tells of the host is hidden
---@field seccomp? string the level that the seccomp point is asked for
---@field landlock? sa.Landlock Landlock's rules
---@field writablePaths? string[] folders in memory that may be written
---@field devices? string[] names in /dev
---@field limits? sa.Limits limits of its processes
---@field requiredControls? string[] controls without which it is not made

---@class sa.ProfileInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field level? string security level: standard, high, custom
---@field runtime? string python, node, bash, go ...
---@field profile? string name of the SandboxProfile, if any
---@field overrides? table the security context that was asked for, in part
---@field context sa.Context empty at first; changes complete it

---@class sa.ProfileChanges
---@field runtimeClass? "native"|"gvisor"|"docker" what isolates it
---@field uid? integer user id inside
---@field gid? integer group id inside
---@field capabilities? string[] capabilities that are kept; the native driver keeps none
---@field noNewPrivs? boolean programs can gain no privilege
---@field readOnlyRoot? boolean the root is read-only
---@field privateNetwork? boolean only a loopback device
---@field maskProc? boolean what /proc tells of the host is hidden
---@field seccomp? string the level that the seccomp point is asked for
---@field landlock? sa.Landlock Landlock's rules
---@field writablePaths? string[] folders in memory that may be written
---@field devices? string[] names in /dev
---@field limits? sa.Limits limits of its processes
---@field requiredControls? string[] controls without which it is not made

---@class sa.ProfileVerdict
---@field verdict "allow"|"deny"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it
---@field changes? sa.ProfileChanges what to change of input.context

---Security level and overrides: the complete security context. Rules complete `context`; what nobody decided denies.
---Without a rule that can be asked: denied, also when there is no rule at all.
---@class sa.ProfileRule: sa.Rule
---@field point "profile"
---@field decide fun(input: sa.ProfileInput, params: table): sa.ProfileVerdict?

---@class sa.Filter
---@field allow string[] system calls that are allowed, and sets of them (@io)
---@field telling string[] system calls that are refused and told as a security event

---@class sa.SeccompInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field language? string base (all that runs in a sandbox), default, python, node, go, bash
---@field level? string the seccomp level of the security context
---@field filter sa.Filter the allow-list so far

---@class sa.SeccompChanges
---@field allow? string[] system calls that are allowed, and sets of them (@io)
---@field telling? string[] system calls that are refused and told as a security event

---@class sa.SeccompVerdict
---@field verdict "allow"|"deny"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it
---@field changes? sa.SeccompChanges what to change of input.filter

---Language and level: the system calls that its programs may make, and those that are told when they try.
---Without a rule that can be asked: denied, also when there is no rule at all.
---@class sa.SeccompRule: sa.Rule
---@field point "seccomp"
---@field decide fun(input: sa.SeccompInput, params: table): sa.SeccompVerdict?

---@class sa.AdmissionInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field operation? "CREATE"|"UPDATE"|"DELETE" what is done with it
---@field kind? string Sandbox, SandboxProfile, WarmPool, RuntimeEnvironment
---@field object? table {metadata, spec} as it shall be; absent on DELETE
---@field old? table {metadata, spec} as it is; on UPDATE and DELETE

---@class sa.AdmissionVerdict
---@field verdict "allow"|"deny"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it
---@field changes? table what to change of input.object

---A resource about to be written: changes fill in what is missing, a denial refuses it. As Kubernetes' admission.
---Without a rule that can be asked: denied.
---@class sa.AdmissionRule: sa.Rule
---@field point "admission"
---@field decide fun(input: sa.AdmissionInput, params: table): sa.AdmissionVerdict?

---@class sa.Sandbox
---@field id? string its id, sb-...
---@field name? string its name; its id when it has none
---@field runtime? string its runtime: python, node, bash, go ...
---@field securityLevel? string standard, high or custom
---@field labels table<string, string> its labels
---@field ageSeconds integer seconds since it was made

---@class sa.Run
---@field timeoutMs integer milliseconds until it is ended; 0: the default
---@field memoryBytes integer bytes of address space of each process; 0: the sandbox's
---@field cpuSeconds integer seconds of processor time of each process; 0: no limit
---@field fileSizeBytes integer bytes of one file; 0: only the disk's size
---@field openFiles integer descriptors of each process; 0: the default

---@class sa.ExecuteInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field sandbox sa.Sandbox the sandbox
---@field kind? "code"|"command"|"terminal"|"context"|"port" what starts: code, a command, a terminal, a new context, a connection to a port
---@field language? string of code and contexts
---@field program? string last part of the path of a command's program; of a shell line its first word
---@field argv string[] of a command, its first 32 KiB; a shell line is one element
---@field code? string its first 48 KiB
---@field codeBytes integer bytes of all of the code
---@field truncated boolean code, argv or envNames are cut
---@field cwd? string the folder it starts in, if it was said
---@field context? string id of the context it runs in
---@field envNames string[] names of the variables it is given
---@field background boolean nobody waits for it
---@field tty boolean it has a terminal
---@field run sa.Run its limits

---@class sa.ExecuteChanges
---@field timeoutMs? integer milliseconds until it is ended; 0: the default
---@field memoryBytes? integer bytes of address space of each process; 0: the sandbox's
---@field cpuSeconds? integer seconds of processor time of each process; 0: no limit
---@field fileSizeBytes? integer bytes of one file; 0: only the disk's size
---@field openFiles? integer descriptors of each process; 0: the default

---@class sa.ExecuteVerdict
---@field verdict "allow"|"deny"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it
---@field changes? sa.ExecuteChanges what to change of input.run

---Code or a command about to run; changes set its limits.
---Without a rule that can be asked: denied.
---@class sa.ExecuteRule: sa.Rule
---@field point "execute"
---@field decide fun(input: sa.ExecuteInput, params: table): sa.ExecuteVerdict?

---@class sa.FilesInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field sandbox sa.Sandbox the sandbox
---@field operation? "read"|"write"|"list"|"stat"|"delete"|"mkdir"|"move"|"copy"|"chmod"|"watch"|"export"|"import"|"sign" what is done
---@field path? string absolute and normalised
---@field to? string where move and copy lead, likewise
---@field bytes integer of what is written; -1: not known
---@field recursive boolean of list and watch: with all that is below the folder, too

---@class sa.FilesVerdict
---@field verdict "allow"|"deny"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it

---A file read or changed from outside, through the API.
---Without a rule that can be asked: denied.
---@class sa.FilesRule: sa.Rule
---@field point "files"
---@field decide fun(input: sa.FilesInput, params: table): sa.FilesVerdict?

---@class sa.RulesItem
---@field domain? string pypi.org, *.example.com
---@field ports string[] decimal; none: 443 and 80

---@class sa.Grant
---@field bytesPerSecond integer each way; 0: no limit
---@field connections integer at a time, of the sandbox; 0: no limit

---@class sa.EgressInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field sandbox sa.Sandbox the sandbox
---@field host? string canonical name, or an address in its usual form
---@field port integer the port
---@field protocol? "http"|"connect"|"tls" how it was asked for
---@field sni? string the name in the TLS hello; absent: none seen
---@field address? string what the host resolved to, once known
---@field addressIsPublic boolean the address is neither private, nor local, nor otherwise special
---@field hostIsAddress boolean the host is an address
---@field rules sa.RulesItem[] of the sandbox's networkAccess.egress
---@field grant sa.Grant how much of it

---@class sa.EgressChanges
---@field bytesPerSecond? integer each way; 0: no limit
---@field connections? integer at a time, of the sandbox; 0: no limit

---@class sa.EgressVerdict
---@field verdict "allow"|"deny"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it
---@field changes? sa.EgressChanges what to change of input.grant

---A connection out of a sandbox; changes limit it.
---Without a rule that can be asked: denied, also when there is no rule at all.
---@class sa.EgressRule: sa.Rule
---@field point "egress"
---@field decide fun(input: sa.EgressInput, params: table): sa.EgressVerdict?

---@class sa.PackagesInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field sandbox sa.Sandbox the sandbox
---@field manager? "pip"|"npm" what installs it
---@field name? string its canonical name
---@field version? string what was asked for (==1.2), if anything

---@class sa.PackagesVerdict
---@field verdict "allow"|"deny"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it

---One package about to be installed.
---Without a rule that can be asked: denied.
---@class sa.PackagesRule: sa.Rule
---@field point "packages"
---@field decide fun(input: sa.PackagesInput, params: table): sa.PackagesVerdict?

---@class sa.RecycleInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field runtime? string the pod's runtime
---@field securityLevel? string standard, high or custom
---@field enabled boolean the pool asks for recycling
---@field uses integer how often it was used
---@field maxUses integer how often it may be; 0: any
---@field ageSeconds integer seconds since it was made
---@field sameTenant boolean whoever gets it next is whoever had it
---@field clean boolean the check against the pristine fingerprint passed
---@field endReason? string how the last use ended: deleted, timeout, oom, failed
---@field oomKills integer times that memory ran out
---@field denials integer telling system calls that were refused
---@field memoryPeakBytes integer most bytes in use
---@field memoryLimitBytes integer bytes it may use
---@field criteria? table the pool's recycle.criteria

---@class sa.RecycleVerdict
---@field verdict "reuse"|"replace"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it

---May a used pod be used again? One rule against it is enough.
---Without a rule that can be asked: replaced, also when there is no rule at all.
---@class sa.RecycleRule: sa.Rule
---@field point "recycle"
---@field decide fun(input: sa.RecycleInput, params: table): sa.RecycleVerdict?

---@class sa.Pool
---@field name? string its name
---@field runtime? string of its pods
---@field min integer fewest warm pods
---@field max integer most warm pods
---@field size integer warm pods wanted until now, in use ones not counted

---@class sa.Pods
---@field available integer warm and free
---@field assigned integer in use
---@field pending integer on their way
---@field recycling integer being cleaned

---@class sa.Demand
---@field claimsPerSecond number of the last minute
---@field missesPerSecond number claims that found no warm pod, of the last minute
---@field claimsPerSecondPeak number of the busiest second in it

---@class sa.HistoryItem
---@field at number end of the interval, seconds since 1970
---@field claims integer in the interval
---@field misses integer claims that found no warm pod
---@field claimsPeak integer in the busiest second of the interval
---@field available integer warm and free at its end
---@field assigned integer in use at its end
---@field size integer warm pods wanted at its end

---@class sa.ScalingInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field rule? string name of the rule that the pool asks for
---@field params? table the pool's scaling.params, over those of params.lua
---@field pool sa.Pool the pool
---@field pods sa.Pods its pods
---@field demand sa.Demand claims of late
---@field history sa.HistoryItem[] oldest first, one each interval
---@field refillP50Ms integer milliseconds until a claimed pod is made up for, in the middle
---@field refillP95Ms integer and of the slowest twentieth
---@field lastScaleAt number seconds since 1970; 0: never scaled
---@field lastScaleFrom integer pods before that
---@field lastScaleTo integer pods after that
---@field capacity integer pods that the node has room for; -1: not known

---@class sa.ScalingVerdict
---@field size integer warm pods that the pool shall have, in use ones not counted
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it

---How many warm pods a pool shall have: asked of the one rule that the pool names. The answer is kept between its min and max.
---Without a rule that can be asked: the size stays, also when there is no such rule.
---@class sa.ScalingRule: sa.Rule
---@field point "scaling"
---@field decide fun(input: sa.ScalingInput, params: table): sa.ScalingVerdict?

---@class sa.Counters
---@field cpuUs integer microseconds of processor time
---@field throttledUs integer microseconds that it was held back by its limit
---@field memoryPeakBytes integer most bytes in use
---@field memoryLimitBytes integer bytes it may use
---@field processes integer processes and threads now
---@field pidsLimit integer processes and threads it may have
---@field oomKills integer times that memory ran out
---@field denials integer telling system calls that were refused
---@field executions integer started until now
---@field outputBytes integer bytes that its programs wrote
---@field egressDenials integer connections that were refused

---@class sa.EventsItem
---@field at number seconds since 1970
---@field type? string Security, ...
---@field reason? string mount, ptrace, ...
---@field count integer how often

---@class sa.AnomalyInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field sandbox sa.Sandbox the sandbox
---@field counters sa.Counters since it was made
---@field events sa.EventsItem[] oldest first, at most 64

---@class sa.AnomalyVerdict
---@field score number 0 (as always) to 100
---@field action "none"|"alert"|"pause"|"kill" what to do
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it

---Does a sandbox behave strangely? All rules are asked, the highest score is the answer.
---Without a rule that can be asked: an alert.
---@class sa.AnomalyRule: sa.Rule
---@field point "anomaly"
---@field decide fun(input: sa.AnomalyInput, params: table): sa.AnomalyVerdict?

---@class sa.Outcome
---@field action? "delete"|"pause"|"extend" what happens
---@field extendSeconds integer seconds that extend adds

---@class sa.LifecycleInput
---@field now number the time, in seconds since 1970, UTC
---@field scope sa.Scope what chooses parameters (params.lua)
---@field user sa.User who asks
---@field sandbox sa.Sandbox the sandbox
---@field event? "timeout"|"idle" what has come
---@field timeoutSeconds integer its timeout
---@field idleSeconds integer seconds since it was last used
---@field runningExecutions integer now
---@field extensions integer how often it was extended
---@field outcome sa.Outcome what happens; what the sandbox's own lifecycle says at first

---@class sa.LifecycleChanges
---@field action? "delete"|"pause"|"extend" what happens
---@field extendSeconds? integer seconds that extend adds

---@class sa.LifecycleVerdict
---@field verdict "allow"|"decide"
---@field rule? string id of the rule that decided, for people and logs
---@field reason? string why, for a person; a denial needs it
---@field changes? sa.LifecycleChanges what to change of input.outcome

---A timeout has come: what now? `decide` asks no further rule.
---Without a rule that can be asked: what the sandbox's own lifecycle says.
---@class sa.LifecycleRule: sa.Rule
---@field point "lifecycle"
---@field decide fun(input: sa.LifecycleInput, params: table): sa.LifecycleVerdict?
