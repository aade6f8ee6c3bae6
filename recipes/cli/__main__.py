from abstain.recipes.cli.command import main

main()
