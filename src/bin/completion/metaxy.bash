# bash completion of the metaxy command

_metaxy()
{
	local word=${COMP_WORDS[COMP_CWORD]} line quoted=

	# within quotes, bash takes candidates as they are
	COMPREPLY=()
	case $word in
		[\'\"]*)
			quoted=yes
			word=${word:1} ;;
		*)
			word=${word//\\/} ;;
	esac
	while IFS= read -r line; do
		[[ $quoted ]] || line=$(printf '%q' "$line")
		COMPREPLY+=("$line")
	done < <("$1" __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$word" 2>/dev/null)
}
complete -o default -F _metaxy metaxy
