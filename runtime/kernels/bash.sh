# The bash kernel: an interactive bash without a terminal whose prompt command runs what comes from
# the control plane, in this very shell, so that variables, functions, options and the working
# directory stay. Interactive, because then an interrupt, an unset variable under `set -u` and the
# like end what runs and not the shell. It is the rcfile of
#
#     bash --noprofile --noediting --rcfile FILE -i
#
# Descriptor 3 is a stream socket to the control plane. Towards us: fields that each end with a NUL,
#
#     init TOKEN
#     execute ID INPUT COUNT (NAME VALUE)... LENGTH CODE     CODE is LENGTH bytes without a NUL
#     input EOF DATA                                         DATA as printf %b takes it
#
# From us: u32 length (little-endian), the token, JSON. What runs prints to the real descriptors.

PS1='' PS2='' IGNOREEOF=1000000000
set +m +H +o history

# Write one frame.
__sa_send() {
  local length=$((${#__sa_token} + ${#1})) head
  builtin printf -v head '\\x%02x\\x%02x\\x00\\x00' "$((length & 255))" "$((length >> 8))"
  builtin printf "$head%s%s" "$__sa_token" "$1" >&"$__sa_fd"
}

# Read fields into the variables named.
__sa_read() {
  local __sa_field
  for __sa_field; do
    IFS= builtin read -r -d '' -u "$__sa_fd" "$__sa_field" || builtin exit 0
  done
}

# Descriptor 3 goes to a number that no loop over the usual ones meets, and is not inherited by
# programs. bash sets close-on-exec only on duplicates of what has it already, and on what it puts
# aside while a command is redirected: so this is duplicated.
__sa_move() {
  local most other number
  most=$(builtin ulimit -Sn)
  [[ $most =~ ^[0-9]+$ ]] && ((most <= 32768)) || most=32768
  __sa_fd=$((most - 1))
  exec {other}>&3
  {
    for ((number = 10; number < 256; number++)); do
      [[ $number != "$other" && /proc/$$/fd/$number -ef /proc/$$/fd/$other ]] || continue
      eval "exec $__sa_fd>&$number"
      break
    done
  } 3</dev/null
  exec {other}>&- 3>&-
  builtin ulimit -Sn "$__sa_fd"
}

# What the stdin of an execution reads: its bytes come as frames, and the last says so. It reads
# them to the end even when nobody wants them, so that the shell finds its next request.
__sa_feed() {
  trap '' INT PIPE
  local kind end data
  for ((end = 0; end == 0;)); do
    __sa_read kind end data
    builtin printf %b "$data" 2>/dev/null
  done
}

# Variables of one execution, and what they were.
__sa_set_env() {
  local count=$1 name value
  __sa_before=()
  for (( ; count > 0; count--)); do
    __sa_read name value
    [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && $name != __sa_* ]] || continue
    __sa_before+=("$name" "${!name+x}" "${!name-}")
    [[ ${!name+x} && ${!name@a} == *x* ]] && __sa_before+=(x) || __sa_before+=('')
    export "$name=$value"
  done 2>/dev/null
}

__sa_restore_env() {
  local i
  for ((i = 0; i < ${#__sa_before[@]}; i += 4)); do
    if [[ ${__sa_before[i + 1]} ]]; then
      builtin printf -v "${__sa_before[i]}" %s "${__sa_before[i + 2]}"
      [[ ${__sa_before[i + 3]} ]] || declare -g +x "${__sa_before[i]}"
    else
      unset -v "${__sa_before[i]}"
    fi
  done 2>/dev/null
  __sa_before=()
}

# The end of an execution, if one runs. Options that would get into our way rest until the next.
__sa_end() {
  __sa_status=$1
  [[ $__sa_id ]] || return 0
  __sa_options=${-//[!euvx]/}
  set +euvx
  local id=$__sa_id
  __sa_id='' __sa_code=''
  __sa_restore_env
  exec 0</dev/null
  __sa_send "{\"type\":\"done\",\"id\":$id,\"exitCode\":$__sa_status}"
}

# Wait for something to run; it is in __sa_code then. An interrupt leaves through the prompt and
# comes back here. So does a subshell that is interrupted between its fork and its first command: it
# would read the requests of its parent.
__sa_next() {
  [[ ${BASHPID:-$$} == "$$" ]] || builtin kill -KILL "$BASHPID"
  __sa_end "$1"
  if [[ $__sa_feeder ]]; then
    wait "$__sa_feeder" 2>/dev/null
    __sa_feeder=''
  fi
  local kind input count length rest __sa_new=''
  while :; do
    __sa_read kind
    if [[ $kind == execute ]]; then
      __sa_read __sa_new input count
      __sa_set_env "$count"
      __sa_read length
      __sa_code=''
      ((length == 0)) || LC_ALL=C IFS= builtin read -r -N "$length" -u "$__sa_fd" __sa_code
      if [[ $input == 1 ]]; then
        exec 0< <(__sa_feed)
        __sa_feeder=$!
      fi
      __sa_id=$__sa_new
      return 0
    fi
    __sa_read rest rest # stdin that came too late
  done
}

# What the code finds: its options, and $? (which would end the shell under `set -e`).
__sa_last() {
  [[ $__sa_options ]] || return "$__sa_status"
  set "-$__sa_options"
}

__sa_token='' __sa_id='' __sa_feeder='' __sa_code='' __sa_status=0 __sa_options='' __sa_before=()
__sa_move
__sa_read __sa_kind __sa_token
__sa_send "{\"type\":\"ready\",\"pid\":$$,\"version\":\"${BASH_VERSION%%(*}\"}"
PROMPT_COMMAND='while { __sa_next "$?"; } 2>/dev/null; do LINENO=0; { __sa_last; } 2>/dev/null; eval "$__sa_code"; done'
